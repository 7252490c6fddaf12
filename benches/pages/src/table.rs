//! Tables: figures in rows, and lists of facts.

use maud::{Markup, html};

/// A table with a caption. Cells are text; all columns but the first stand at the right.
#[derive(Debug, Clone)]
pub struct Table {
    /// What it shows, read out before the table.
    pub caption: String,
    /// What each column shows.
    pub columns: Vec<String>,
    /// A cell for each column.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The table as HTML. It scrolls by itself where it is wider than the screen.
    pub fn markup(&self) -> Markup {
        html! {
            div.wide tabindex="0" role="region" aria-label=(self.caption) {
                table.figures {
                    caption { (self.caption) }
                    thead { tr { @for column in &self.columns { th scope="col" { (column) } } } }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (number, cell) in row.iter().enumerate() {
                                    @if number == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The table behind a line to click on, for figures that a plot shows already.
    pub fn folded(&self) -> Markup {
        html! {
            details { summary { "As a table" } (self.markup()) }
        }
    }
}

/// Names with what they stand for.
pub fn facts<N: AsRef<str>, V: AsRef<str>>(facts: &[(N, V)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts {
                div { dt { (name.as_ref()) } dd { (value.as_ref()) } }
            }
        }
    }
}

/// The few figures a reader looks for first: what each is, and its value.
pub fn headline<N: AsRef<str>, V: AsRef<str>>(figures: &[(N, V)]) -> Markup {
    html! {
        dl.headline {
            @for (name, value) in figures {
                div { dt { (name.as_ref()) } dd { (value.as_ref()) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_escaped() {
        let nasty = "<b>\"&'</b>".to_owned();
        let table = Table {
            caption: nasty.clone(),
            columns: vec![nasty.clone(), nasty.clone()],
            rows: vec![vec![nasty.clone(), nasty.clone()]],
        };
        let facts = facts(&[(&nasty, &nasty)]).into_string();
        let headline = headline(&[(&nasty, &nasty)]).into_string();
        for html in [table.folded().into_string(), facts, headline] {
            assert!(!html.contains("<b>"), "{html}");
            assert!(roxmltree::Document::parse(&html).is_ok(), "{html}");
        }
    }
}
