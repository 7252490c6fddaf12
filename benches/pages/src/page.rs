//! The document around the sections.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// What comes before the sections.
#[derive(Debug, Clone)]
pub struct Head {
    /// The page's name, on it and on its tab.
    pub title: String,
    /// One sentence below it: of what, with what, and so on.
    pub about: String,
    /// The verdict, and whether it is a good one.
    pub verdict: (String, Good),
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Good {
    /// As it should.
    Yes,
    /// Not as it should.
    No,
    /// Nobody knows.
    Unknown,
}

impl Good {
    /// The class that colours it. What it says must be in the text as well.
    pub fn class(self) -> &'static str {
        match self {
            Self::Yes => "good",
            Self::No => "bad",
            Self::Unknown => "unknown",
        }
    }
}

/// The whole page. Each section has a heading of its own.
pub fn page(head: &Head, sections: &[Markup]) -> String {
    let (verdict, good) = &head.verdict;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (head.title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header {
                    h1 { (head.title) }
                    p { (head.about) }
                    p.verdict.(good.class()) { (verdict) }
                }
                main { @for section in sections { (section) } }
            }
        }
    }
    .into_string()
}

/// A part of the page with its heading.
#[expect(clippy::needless_pass_by_value, reason = "markup is made to be put in")]
pub fn section(heading: &str, content: Markup) -> Markup {
    html! {
        section { h2 { (heading) } (content) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head {
            title: text.to_owned(),
            about: text.to_owned(),
            verdict: (text.to_owned(), Good::No),
        }
    }

    /// The page without what HTML may have and XML may not.
    fn parsed(page: &str) -> String {
        let lines = page.strip_prefix("<!DOCTYPE html>").unwrap();
        let mut xml = lines.to_owned();
        while let Some(start) = xml.find("<meta") {
            let end = start + xml[start..].find('>').unwrap();
            xml.replace_range(start..=end, "");
        }
        roxmltree::Document::parse(&xml).unwrap();
        xml
    }

    #[test]
    fn a_page_is_well_formed_and_its_text_is_escaped() {
        let nasty = "</title><script>alert(\"&\")</script>";
        let page = page(&head(nasty), &[section(nasty, html! { p { (nasty) } })]);
        assert!(!page.contains("<script"), "{page}");
        parsed(&page);
    }

    #[test]
    fn a_page_needs_nothing_but_itself() {
        let page = page(&head("a"), &[]);
        for foreign in ["http:", "https:", "src=", "@import", "url(", "<link"] {
            assert!(!page.contains(foreign), "{foreign} in {page}");
        }
        assert!(page.contains("prefers-color-scheme: dark"));
    }
}
