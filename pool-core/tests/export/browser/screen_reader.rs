//! The page as a screen reader walks it.

use pool_core::testing::Step;

use super::accessibility::{Node, Tree};
use super::devtools::Page;
use super::{Shop, choose, until_figure};

/// Notes in `spoken` each text that changes in a live region, which is what is read aloud.
const LISTEN: &str = "spoken = [];
    new MutationObserver(changes => {
      for (const { type, target, addedNodes } of changes) {
        const live = (target.closest ? target : target.parentElement)
          ?.closest('[aria-live], [role=status], [role=alert], [role=log], [role=timer], output');
        if (!live || live.ariaLive === 'off') continue;
        const texts = type === 'characterData' ? [target.data] : [...addedNodes].map(n => n.textContent);
        spoken.push(...texts.filter(text => text.trim()));
      }
    }).observe(document.body, { subtree: true, childList: true, characterData: true }); true";

/// What has been read aloud since [`LISTEN`].
async fn spoken(page: &mut Page) -> Vec<String> {
    serde_json::from_value(page.tell("spoken").await).unwrap()
}

/// Lets so many figures tick past, each shown before the next.
async fn tick(shop: &Shop, page: &mut Page, times: usize) {
    for _ in 0..times {
        drop(shop.orders.get().await.unwrap());
        let acquired = shop.orders.stats().acquired.to_string();
        until_figure(page, "acquired", &acquired).await;
    }
}

fn only<'a>(tree: &'a Tree, role: &'a str) -> &'a Node {
    let mut all = tree.all(role);
    let node = all.next().unwrap_or_else(|| panic!("no {role}"));
    assert_eq!(all.count(), 0, "more than one {role}");
    node
}

#[tokio::test]
async fn landmarks_and_headings_lead_through_the_page() {
    let (_shop, mut page) = Shop::open().await;
    let tree = page.read().await;

    assert_eq!(tree.root().name, "Connection pools");
    assert_eq!(page.tell("document.documentElement.lang").await, "en");

    for role in ["banner", "main", "contentinfo"] {
        only(&tree, role);
    }
    assert_eq!(only(&tree, "navigation").name, "Pools");
    assert_eq!(
        tree.names("region"),
        ["orders is healthy", "Figures", "Operate orders"]
    );

    let levels: Vec<u64> = tree
        .all("heading")
        .map(|heading| heading.property("level").as_u64().unwrap())
        .collect();
    assert_eq!(levels[0], 1);
    assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
    assert!(levels.is_sorted_by(|a, b| *b <= a + 1), "{levels:?}");

    let headings = tree.names("heading");
    let places: Vec<_> = [
        "orders is healthy",
        "Figures",
        "Who holds a connection, the longest first",
        "What happened since this page was opened",
        "Operate orders",
    ]
    .map(|wanted| headings.iter().position(|heading| *heading == wanted))
    .into();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{headings:?}"
    );
}

#[tokio::test]
async fn each_control_has_a_name_and_each_toggle_a_state() {
    let (shop, mut page) = Shop::open().await;
    shop.lose_stock().await;
    page.until("document.querySelector('#pools').innerText.includes('unhealthy')")
        .await;

    for (place, pressed) in [["true", "false"], ["false", "true"]].iter().enumerate() {
        choose(&mut page, place).await;
        let tree = page.read().await;
        let unnamed: Vec<_> = tree.controls().filter(|c| c.name.is_empty()).collect();
        assert!(unnamed.is_empty(), "{unnamed:?}");
        assert!(tree.controls().count() > 10);

        let pools = only(&tree, "navigation");
        let toggles: Vec<_> = tree
            .inside(pools)
            .filter(|node| node.role == "button")
            .collect();
        let names: Vec<_> = toggles.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["orders healthy", "stock unhealthy"]);
        let states: Vec<_> = toggles
            .iter()
            .map(|node| node.property("pressed"))
            .collect();
        assert_eq!(states, *pressed);
    }

    let scrolled = "[...document.querySelectorAll('body *')].filter(e => e.clientWidth
        && /auto|scroll/.test(getComputedStyle(e).overflow)
        && e.tabIndex < 0 && !e.querySelector('button, a')).map(e => e.outerHTML)";
    assert_eq!(page.tell(scrolled).await, serde_json::json!([]));
}

#[tokio::test]
async fn a_graph_is_an_image_whose_name_tells_its_figures() {
    let (shop, mut page) = Shop::open().await;
    let held = shop.orders.get().await.unwrap();
    until_figure(&mut page, "active", "1").await;

    let tree = page.read().await;
    let images = tree.names("image");
    let drawn = page
        .tell("document.querySelectorAll('svg, canvas, img').length")
        .await;
    assert_eq!(images.len() as u64, drawn, "{images:?}");
    for (image, figures) in images.iter().zip([
        "Connections by state: now 1 active, 0 opening, 1 idle of 4 allowed, at most 2 ",
        "Checkouts a second: now ",
        "Wait, 99th percentile of the last 10 s: now ",
        "Waiting checkouts: now 0, at most 0 ",
    ]) {
        assert!(image.starts_with(figures), "{image}");
    }
    drop(held);
}

#[tokio::test]
async fn each_cell_of_a_table_has_a_header_and_each_table_a_name() {
    let (shop, mut page) = Shop::open().await;
    let held = shop.orders.get().await.unwrap();
    page.until("document.querySelector('#holders').textContent.includes('screen_reader.rs')")
        .await;

    let tree = page.read().await;
    let tables: Vec<_> = tree.all("table").collect();
    assert_eq!(tables.len(), 2);
    for table in tables {
        assert!(!table.name.is_empty());
        let rows = tree.inside(table).filter(|node| node.role == "row");
        let rows: Vec<Vec<&Node>> = rows
            .map(|row| {
                let cells = tree.inside(row);
                cells
                    .filter(|cell| cell.role.ends_with("header") || cell.role.ends_with("cell"))
                    .collect()
            })
            .collect();
        let (headers, body) = rows.split_first().unwrap();
        assert!(!body.is_empty(), "{}", table.name);
        for header in headers {
            assert_eq!(header.role, "columnheader", "{}", table.name);
            assert!(!header.name.is_empty(), "{}", table.name);
        }
        for row in body {
            assert_eq!(row.len(), headers.len(), "{}", table.name);
        }
    }
    drop(held);

    page.until("document.querySelector('#holders').textContent === ''")
        .await;
    assert_eq!(page.read().await.all("table").count(), 1, "one is empty");
}

#[tokio::test]
async fn what_matters_is_said_once_and_figures_that_tick_are_not() {
    let (shop, mut page) = Shop::open().await;
    page.tell(LISTEN).await;
    let held = shop.orders.get().await.unwrap();
    until_figure(&mut page, "leaked", "1").await;
    shop.lose_stock().await;
    page.until("spoken.join().includes('unhealthy')").await;
    tick(&shop, &mut page, 3).await;

    let told = spoken(&mut page).await;
    let all = told.join("; ");
    for matter in [
        "orders: leak: 1 held for longer than leak_threshold",
        "stock: circuit breaker is open, was closed",
        "unhealthy, was healthy",
    ] {
        assert_eq!(all.matches(matter).count(), 1, "{matter}: {told:?}");
    }
    assert!(told.len() <= 3, "{told:?}");

    shop.stock_manager.forget(Step::Connect);
    shop.pools.get("stock").unwrap().reset_breaker();
    drop(shop.stock.get().await.unwrap());
    page.until("spoken.join().includes('healthy, was unhealthy')")
        .await;

    let tries_again = "(() => {
      const is = past.get('stock').at(-1), when = breaker => ({ ...is, stats: { ...is.stats, breaker } });
      const happens = (was, is) => happened('stock', when(was), when(is));
      return [...happens('open', 'half_open'), ...happens('half_open', 'open')];
    })()";
    assert_eq!(page.tell(tries_again).await, serde_json::json!([]));

    page.tell("for (const time of [1, 2]) stream.dispatchEvent(new Event('error'))")
        .await;
    page.until("spoken.includes('live again')").await;
    let told = spoken(&mut page).await;
    let lost = told.iter().filter(|text| text.contains("no connection"));
    assert_eq!(lost.count(), 1, "{told:?}");

    let tree = page.read().await;
    let live: Vec<_> = tree.live().collect();
    assert!(!live.is_empty());
    for node in live {
        assert_eq!(node.property("live"), "polite", "{node:?}");
        let ticks = ["definition", "image", "table", "cell", "navigation"];
        assert!(
            !ticks.contains(&node.role.as_str()),
            "{node:?} would be read each second"
        );
    }
    drop(held);
}

#[tokio::test]
async fn neither_the_focus_nor_a_reading_position_is_lost_when_the_page_changes() {
    let (shop, mut page) = Shop::open().await;
    page.tell(
        "reading = document.querySelector('[data-figure=acquired]').firstChild;
         document.querySelector('#pools button').focus(); true",
    )
    .await;
    shop.pools.insert("carts", shop.stock.clone());
    page.until("document.querySelectorAll('#pools button').length === 3")
        .await;
    tick(&shop, &mut page, 1).await;

    let focused = page.tell("document.activeElement.dataset.pool").await;
    assert_eq!(focused, "orders");
    let acquired = shop.orders.stats().acquired.to_string();
    let read = page.tell("reading.isConnected && reading.data").await;
    assert_eq!(read, acquired);
}
