//! Finds a setting by name, and the one that was probably meant when there is none.

use super::SETTINGS;
use super::settings::Setting;

/// The setting of this name.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// The setting most like `name`: the one other pools call so, or else the one with the fewest
/// letters to change.
pub(super) fn nearest(name: &str) -> &'static Setting {
    called_elsewhere(name).unwrap_or_else(|| fewest_edits(name).0)
}

/// Whether `name` is so near a setting that it can hardly mean anything else: another pool's name
/// for it, or one letter in three different, two at most.
pub(super) fn is_slip(name: &str) -> bool {
    let (setting, edits) = fewest_edits(name);
    called_elsewhere(name).is_some() || edits <= 2.min(setting.name.len() / 3)
}

fn called_elsewhere(name: &str) -> Option<&'static Setting> {
    SETTINGS
        .iter()
        .find(|setting| setting.elsewhere.contains(&name))
}

fn fewest_edits(name: &str) -> (&'static Setting, usize) {
    let mut best = (&SETTINGS[0], usize::MAX);
    for setting in SETTINGS {
        let edits = edits(setting.name, name);
        if edits < best.1 {
            best = (setting, edits);
        }
    }
    best
}

/// How many letters must be added, removed or changed to turn `from` into `to` (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, from_letter) in from.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (left, to_letter) in to.iter().enumerate() {
            let changed = diagonal + usize::from(from_letter != *to_letter);
            diagonal = row[left + 1];
            row[left + 1] = changed.min(diagonal + 1).min(row[left] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_count_letters_added_removed_and_changed() {
        for (from, to, count) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "", 3),
            ("size", "sze", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edits(from, to), count, "{from} {to}");
            assert_eq!(edits(to, from), count, "{to} {from}");
        }
    }

    #[test]
    fn a_typo_finds_the_setting_that_was_meant() {
        for (typo, meant) in [
            ("max_sze", "max_size"),
            ("aquire_timeout", "acquire_timeout"),
            ("idle_time_out", "idle_timeout"),
            ("max_connections", "max_size"),
            ("leak_detection", "leak_threshold"),
        ] {
            assert!(is_slip(typo), "{typo}");
            assert_eq!(nearest(typo).name, meant, "{typo}");
        }
    }

    #[test]
    fn a_name_that_means_something_else_is_no_slip() {
        for name in ["temperature", "mode", "size_of_the_lane", "dir", ""] {
            assert!(!is_slip(name), "{name}");
        }
    }
}
