//! Whether what is shown can be told from what is behind it, by the measure of WCAG 2.

use serde::Deserialize;

use super::devtools::Page;
use super::{Shop, choose, until_figure};

/// Reads colours as they are computed: each as red, green and blue of 0 to 255.
const COLOURS: &str = r"
  const parse = text => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a)).concat(1);
  const behind = e => {
    const layers = [];
    for (; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reduceRight((under, layer) => over(layer, under), [255, 255, 255, 1]);
  };
  const opacity = e => e ? Number(getComputedStyle(e).opacity) * opacity(e.parentElement) : 1;
  const pair = (what, text, e, needs) => {
    const [r, g, b, a] = parse(text), ground = behind(e);
    return { what, shown: over([r, g, b, a * opacity(e)], ground), ground, needs };
  };
  const visible = e => e.checkVisibility() && e.getClientRects().length > 0;";

/// Each text, and the edge of each field.
const TEXTS: &str = "
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  const text = (e, what) => {
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    found.push(pair(what, e.closest('svg') ? style.fill : style.color, e, large ? 3 : 4.5));
  };
  while (nodes.nextNode()) {
    const { parentElement, data } = nodes.currentNode;
    if (data.trim() && visible(parentElement)) text(parentElement, data);
  }
  for (const e of document.querySelectorAll('input')) {
    text(e, e.name);
    found.push(pair(`edge of ${e.name}`, getComputedStyle(e).borderColor, e.parentElement, 3));
  }
  return found;";

/// Each colour of a graph or of its legend, of a graph where it is strongest.
const LINES: &str = "
  const strongest = new Map(), found = [];
  for (const e of document.querySelectorAll('svg :not(text)')) {
    const { fill, stroke } = getComputedStyle(e);
    const colour = e.tagName === 'line' || fill === 'none' ? stroke : fill;
    const drawn = pair(`${e.closest('svg').id} ${colour}`, colour, e, 3);
    drawn.opacity = opacity(e);
    if (!(strongest.get(drawn.what)?.opacity >= drawn.opacity)) strongest.set(drawn.what, drawn);
  }
  for (const e of document.querySelectorAll('.legend i'))
    found.push(pair(`legend: ${e.parentElement.textContent}`, getComputedStyle(e).backgroundColor, e.parentElement, 3));
  return [...found, ...strongest.values()];";

/// The outline of what has the focus.
const RING: &str = "
  const e = document.activeElement, style = getComputedStyle(e);
  const is_drawn = style.outlineStyle === 'solid' && parseFloat(style.outlineWidth) >= 2;
  return [pair('focus', is_drawn ? style.outlineColor : 'rgba(0, 0, 0, 0)', e.parentElement, 3)];";

#[derive(Debug, Deserialize)]
struct Pair {
    what: String,
    shown: [f64; 4],
    ground: [f64; 4],
    needs: f64,
}

impl Pair {
    fn ratio(&self) -> f64 {
        let (a, b) = (luminance(self.shown), luminance(self.ground));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }
}

fn luminance([red, green, blue, _]: [f64; 4]) -> f64 {
    let linear = |channel: f64| match channel / 255.0 {
        dim if dim <= 0.04045 => dim / 12.92,
        bright => ((bright + 0.055) / 1.055).powf(2.4),
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

async fn pairs(page: &mut Page, reading: &str) -> Vec<Pair> {
    let script = format!("(() => {{ {COLOURS} {reading} }})()");
    serde_json::from_value(page.tell(&script).await).unwrap()
}

/// How well the outline of what has the focus stands out; 1 is not at all.
pub(super) async fn of_the_focus(page: &mut Page) -> f64 {
    pairs(page, RING).await[0].ratio()
}

#[test]
fn black_on_white_is_21_to_1() {
    let pair = Pair {
        what: String::new(),
        shown: [0.0, 0.0, 0.0, 1.0],
        ground: [255.0, 255.0, 255.0, 1.0],
        needs: 4.5,
    };
    assert!((pair.ratio() - 21.0).abs() < 1e-9);
}

#[tokio::test]
async fn texts_and_graphs_stand_out_in_light_and_in_dark() {
    let (shop, mut page) = Shop::open().await;
    let held = shop.orders.get().await.unwrap();
    until_figure(&mut page, "leaked", "1").await;
    shop.lose_stock().await;
    page.until("document.querySelector('#joint').textContent === '0 of 2 healthy'")
        .await;

    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        page.prefer(scheme).await;
        for place in [0, 1] {
            choose(&mut page, place).await;
            for reading in [TEXTS, LINES] {
                let found = pairs(&mut page, reading).await;
                assert!(found.len() > 8, "{found:?}");
                grounds.push(found[0].ground[0]);
                let faint: Vec<_> = found
                    .iter()
                    .filter(|pair| pair.ratio() < pair.needs)
                    .map(|pair| format!("{:.2} of {}: {}", pair.ratio(), pair.needs, pair.what))
                    .collect();
                assert!(faint.is_empty(), "{scheme}: {faint:#?}");
            }
        }
    }
    let (light, dark) = grounds.split_at(4);
    assert!(light.iter().zip(dark).all(|(light, dark)| light > dark));
    drop(held);
}
