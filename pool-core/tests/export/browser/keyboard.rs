//! The page without a mouse.

use super::devtools::Key;
use super::{Shop, contrast};

#[tokio::test]
async fn the_tab_key_reaches_each_control_in_reading_order_and_shows_where_it_is() {
    let (_shop, mut page) = Shop::open().await;
    let tree = page.read().await;
    let controls: Vec<_> = tree.controls().collect();
    for control in &controls {
        page.press(Key::Tab).await;
        let now = page.read().await;
        let focused = now.focused().expect("something has the focus");
        assert_eq!(
            (focused.element, &focused.name),
            (control.element, &control.name)
        );
        for scheme in ["light", "dark"] {
            page.prefer(scheme).await;
            let ring = contrast::of_the_focus(&mut page).await;
            assert!(ring >= 3.0, "{} in {scheme}: {ring}", control.name);
        }
    }
    assert!(controls.len() > 10);
}

#[tokio::test]
async fn a_link_skips_the_list_of_pools() {
    let (_shop, mut page) = Shop::open().await;
    page.press(Key::Tab).await;
    let tree = page.read().await;
    assert_eq!(tree.focused().unwrap().name, "Skip the list of pools");
    assert_eq!(
        page.tell("document.activeElement.getBoundingClientRect().left >= 0")
            .await,
        true
    );

    page.press(Key::Enter).await;
    page.until("location.hash === '#main'").await;
    page.press(Key::Tab).await;
    let inside = "document.querySelector('main').contains(document.activeElement)";
    assert_eq!(page.tell(inside).await, true);
}
