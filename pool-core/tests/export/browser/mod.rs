//! The page in a real browser.

mod accessibility;
mod contrast;
mod devtools;
mod keyboard;
mod screen_reader;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use pool_core::export::dashboard::Dashboard;
use pool_core::testing::{Act, MockManager, Step};
use pool_core::{Pool, Pools};

use self::devtools::Page;
use crate::http;

/// The figures the page shows of the pool that is chosen.
const FIGURES: &str = "Object.fromEntries([...document.querySelectorAll('[data-figure]')]
    .map(figure => [figure.dataset.figure, figure.textContent]))";

/// Two pools, the first of them warm, on a dashboard with actions.
struct Shop {
    pools: Pools,
    orders: Pool<MockManager>,
    stock: Pool<MockManager>,
    stock_manager: MockManager,
    server: SocketAddr,
}

impl Shop {
    /// Opens it, and its page in a browser.
    async fn open() -> (Self, Page) {
        let orders = Pool::builder(MockManager::new())
            .min_size(2)
            .max_size(4)
            .leak_threshold(Duration::from_secs(3))
            .connect()
            .await
            .unwrap();
        let stock_manager = MockManager::new();
        let stock = Pool::builder(stock_manager.clone())
            .min_size(0)
            .breaker_threshold(1)
            .build()
            .unwrap();
        let pools = Pools::new();
        pools.insert("orders", orders.clone());
        pools.insert("stock", stock.clone());

        let dashboard = Dashboard::new(&pools).actions(|_| true);
        let app = Router::new().nest_service("/pools", dashboard.router());
        let server = http::serve(app).await;
        let mut page = Page::open(&format!("http://{server}/pools")).await;
        page.until("document.querySelector('#link')?.textContent === 'live'")
            .await;
        let shop = Self {
            pools,
            orders,
            stock,
            stock_manager,
            server,
        };
        (shop, page)
    }

    /// The database behind `stock` goes away, and somebody notices.
    async fn lose_stock(&self) {
        self.stock_manager.always(Step::Connect, Act::Fail);
        self.stock.get().await.unwrap_err();
    }
}

/// Shows the pool at this place in the list.
async fn choose(page: &mut Page, place: usize) {
    page.tell(&format!(
        "document.querySelectorAll('#pools button')[{place}].click()"
    ))
    .await;
}

/// Waits until the page shows this figure of the pool that is chosen.
async fn until_figure(page: &mut Page, figure: &str, value: &str) {
    page.until(&format!("({FIGURES}).{figure} === '{value}'"))
        .await;
}

#[tokio::test]
async fn a_browser_shows_the_figures_a_leak_and_a_breaker_that_opens() {
    let (shop, mut page) = Shop::open().await;
    let Shop { orders, server, .. } = &shop;
    for _ in 0..40 {
        drop(orders.get().await.unwrap());
    }
    let held = orders.get().await.unwrap();
    let stats = orders.stats();
    until_figure(&mut page, "active", &stats.active.to_string()).await;
    let told = page.tell(FIGURES).await;
    for (figure, value) in [
        ("idle", stats.idle.to_string()),
        ("opening", stats.opening.to_string()),
        ("max_size", stats.max_size.to_string()),
        ("waiting", stats.waiting.to_string()),
        ("acquired", stats.acquired.to_string()),
        ("utilisation", "25 %".to_owned()),
        ("breaker", "closed".to_owned()),
        ("timed_out", "0".to_owned()),
    ] {
        assert_eq!(told[figure], value, "{figure} in {told}");
    }

    until_figure(&mut page, "leaked", "1").await;
    let verdict = "document.querySelector('#verdict').textContent";
    page.until(&format!("{verdict}.includes('orders is degraded')"))
        .await;
    for shown in ["#holders", "#events", "#verdict"] {
        let text = page
            .tell(&format!("document.querySelector('{shown}').textContent"))
            .await;
        assert!(
            text.as_str().unwrap().contains("export/browser/mod.rs"),
            "{shown}: {text}"
        );
    }

    choose(&mut page, 1).await;
    shop.lose_stock().await;
    until_figure(&mut page, "breaker", "open").await;
    let events = "document.querySelector('#events').textContent";
    page.until(&format!(
        "{events}.includes('circuit breaker is open, was closed')"
    ))
    .await;
    page.until(&format!("{verdict}.includes('stock is unhealthy')"))
        .await;

    // Nothing may be as wide as to scroll sideways on a phone.
    page.narrow().await;
    page.until("document.documentElement.scrollWidth <= 390")
        .await;

    let loaded = page.loaded();
    let own = format!("http://{server}/pools");
    assert!(
        !loaded.is_empty()
            && loaded
                .iter()
                .all(|url| url.starts_with(&own) || url.starts_with("data:")),
        "{loaded:?}"
    );
    assert_eq!(page.complaints(), Vec::<String>::new());
    let (_, document) = http::get(*server, "/pools").await;
    assert!(document.len() < 150_000);
    drop(held);
}
