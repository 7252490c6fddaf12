//! The page of log messages and the code say the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Level and text.
type Message = (String, String);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
}

/// The last string of a macro's arguments, which begin after `text`'s parenthesis.
fn last_string(text: &str) -> String {
    let (mut depth, mut last) = (1, String::new());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            '"' => {
                last.clear();
                while let Some(letter) = letters.next().filter(|letter| *letter != '"') {
                    if letter == '\\' {
                        // A line that goes on in the next one, without its indentation.
                        let rest = letters.as_str().trim_start();
                        letters = rest.chars();
                    } else {
                        last.push(letter);
                    }
                }
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    last
}

#[test]
fn the_page_of_messages_lists_each_message_of_the_code_and_no_other() {
    let mut texts = Vec::new();
    for published in ["pool-core", "pool-postgres", "pool-mysql", "pool-sqlite"] {
        sources(&root().join(published).join("src"), &mut texts);
    }
    let mut said = BTreeSet::<Message>::new();
    for text in &texts {
        for (place, _) in text.match_indices("tracing::") {
            let rest = &text[place + "tracing::".len()..];
            if let Some((level, arguments)) = rest.split_once("!(") {
                if ["debug", "info", "warn", "error"].contains(&level) {
                    said.insert((level.to_owned(), last_string(arguments)));
                }
            }
        }
    }
    let page = fs::read_to_string(root().join("docs/messages.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let listed: BTreeSet<Message> = rows
        .map(|row| {
            let cells: Vec<_> = row.split(" | ").collect();
            let text = cells[0].trim_start_matches("| ").trim_matches('`');
            (cells[1].to_owned(), text.to_owned())
        })
        .collect();
    assert!(said.len() > 30, "{said:#?}");
    assert_eq!(said, listed);
}
