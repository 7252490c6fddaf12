//! How a setting of each type is read from text, shown, and checked.
//!
//! The environment, URLs and files all come through here, so a text means the same everywhere.
//! A type has the rules that hold for all its settings; those of one setting, or between two, are
//! in `rules`.

use std::fmt;
use std::time::Duration;

use super::{NestedAcquire, Reuse, Shedding, Validation};
use crate::duration::{self, is_none};

/// The longest time a setting takes. A longer one is a slip of the keyboard, and the sum of "now"
/// and any time below it is far from overflowing.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
const LONGEST_NAME: usize = 100;

/// A type that settings have.
pub(super) trait Value: Sized {
    /// The texts that can be read: the end of "must be …".
    const FORM: &'static str;

    /// The value that `text` says.
    fn read(text: &str) -> Option<Self>;

    /// The value in the form [`read`](Self::read) takes.
    fn show(&self) -> Shown;

    /// Brings one of several ways to say the same into the usual one.
    fn normalise(&mut self) {}

    /// The rule the value breaks, if it does: the rest of a sentence.
    fn broken_rule(&self) -> Option<String> {
        None
    }
}

/// A value for people and machines: numbers stay numbers in a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shown {
    Integer(u64),
    Fraction(f64),
    Switch(bool),
    Text(String),
}

impl Shown {
    fn text(value: &(impl ToString + ?Sized)) -> Self {
        Self::Text(value.to_string())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Fraction(value) => value.fmt(f),
            Self::Switch(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

impl Value for usize {
    const FORM: &'static str = "a whole number, 0 or more";

    fn read(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }
    fn show(&self) -> Shown {
        Shown::Integer(*self as u64)
    }
}

/// A bound under which zero is a value like any other.
impl Value for Option<usize> {
    const FORM: &'static str = "a whole number, 0 or more, or none for no limit";

    fn read(text: &str) -> Option<Self> {
        if is_none(text) {
            Some(None)
        } else {
            usize::read(text).map(Some)
        }
    }
    fn show(&self) -> Shown {
        self.map_or_else(|| Shown::text("none"), |value| value.show())
    }
}

/// A limit on a number that is at least one, so zero can say that there is none.
impl Value for Option<u64> {
    const FORM: &'static str = "a whole number, or 0 or none for no limit";

    fn read(text: &str) -> Option<Self> {
        let mut limit = if is_none(text) {
            None
        } else {
            Some(text.trim().parse().ok()?)
        };
        limit.normalise();
        Some(limit)
    }
    fn show(&self) -> Shown {
        self.map_or_else(|| Shown::text("none"), Shown::Integer)
    }
    fn normalise(&mut self) {
        *self = self.filter(|&limit| limit > 0);
    }
}

/// On or off.
impl Value for bool {
    const FORM: &'static str = "true or false, on or off";

    fn read(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => Some(true),
            "false" | "off" | "no" | "0" => Some(false),
            _ => None,
        }
    }
    fn show(&self) -> Shown {
        Shown::Switch(*self)
    }
}

/// A period, which cannot be switched off.
impl Value for Duration {
    const FORM: &'static str = "a duration such as 250ms, 30s, 5m, 1h30m or a number of seconds";

    fn read(text: &str) -> Option<Self> {
        duration::parse(text)
    }
    fn show(&self) -> Shown {
        Shown::Text(duration::print(*self))
    }
    fn broken_rule(&self) -> Option<String> {
        const SHORTEST: Duration = Duration::from_millis(1);
        if *self < SHORTEST {
            Some("must be at least 1 ms".to_owned())
        } else {
            too_long(*self)
        }
    }
}

/// A time limit, which zero switches off.
impl Value for Option<Duration> {
    const FORM: &'static str = "a duration such as 250ms, 30s, 5m, 1h30m or a number of seconds; \
                                0, none or off for no limit";

    fn read(text: &str) -> Option<Self> {
        duration::parse_limit(text)
    }
    fn show(&self) -> Shown {
        self.map_or_else(
            || Shown::text("none"),
            |limit| Shown::Text(duration::print(limit)),
        )
    }
    fn normalise(&mut self) {
        *self = self.filter(|limit| !limit.is_zero());
    }
    fn broken_rule(&self) -> Option<String> {
        self.and_then(too_long)
    }
}

/// A share of a whole.
impl Value for f64 {
    const FORM: &'static str = "a fraction such as 0.1 or a percentage such as 10%";

    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.strip_suffix('%') {
            Some(percent) => Some(percent.trim_end().parse::<Self>().ok()? / 100.0),
            None => text.parse().ok(),
        }
    }
    fn show(&self) -> Shown {
        Shown::Fraction(*self)
    }
    fn broken_rule(&self) -> Option<String> {
        let holds = (0.0..=1.0).contains(self);
        (!holds).then(|| "must be from 0 to 1 (0% to 100%)".to_owned())
    }
}

impl Value for Validation {
    const FORM: &'static str = "always, never, when_idle_for(1s) or a duration above 0";

    /// Zero is refused: it could be meant as `always` and as `never`.
    fn read(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "always" => Some(Self::Always),
            "never" => Some(Self::Never),
            _ => {
                let inner = text.strip_prefix("when_idle_for(");
                let time = inner.map_or(Some(text.as_str()), |inner| inner.strip_suffix(')'))?;
                let time = duration::parse(time).filter(|time| !time.is_zero())?;
                Some(Self::WhenIdleFor(time))
            }
        }
    }
    fn show(&self) -> Shown {
        Shown::text(self)
    }
    fn normalise(&mut self) {
        if *self == Self::WhenIdleFor(Duration::ZERO) {
            *self = Self::Always;
        }
    }
    fn broken_rule(&self) -> Option<String> {
        match self {
            Self::WhenIdleFor(time) => too_long(*time),
            Self::Always | Self::Never => None,
        }
    }
}

impl Value for Reuse {
    const FORM: &'static str = "lifo or fifo";

    fn read(text: &str) -> Option<Self> {
        one_of([Self::Lifo, Self::Fifo], text)
    }
    fn show(&self) -> Shown {
        Shown::text(self)
    }
}

impl Value for Shedding {
    const FORM: &'static str = "off, observe or on";

    fn read(text: &str) -> Option<Self> {
        let known = [Self::Off, Self::Observe, Self::On];
        one_of(known, text)
    }
    fn show(&self) -> Shown {
        Shown::text(self)
    }
}

impl Value for NestedAcquire {
    const FORM: &'static str = "allow, warn or fail";

    fn read(text: &str) -> Option<Self> {
        let known = [Self::Allow, Self::Warn, Self::Fail];
        one_of(known, text)
    }
    fn show(&self) -> Shown {
        Shown::text(self)
    }
}

/// A name, or none. The word `none` is no name, or what is written could not be read back.
impl Value for Option<String> {
    const FORM: &'static str = "a text, or none";

    fn read(text: &str) -> Option<Self> {
        let name = text.trim();
        Some((name != "none").then(|| name.to_owned()))
    }
    fn show(&self) -> Shown {
        Shown::text(self.as_deref().unwrap_or("none"))
    }
    fn normalise(&mut self) {
        *self = self.take().map(|name| name.trim().to_owned());
    }
    fn broken_rule(&self) -> Option<String> {
        let name = self.as_deref()?;
        let holds = (1..=LONGEST_NAME).contains(&name.chars().count())
            && !name.contains(char::is_control)
            && name != "none";
        (!holds).then(|| {
            format!("must have 1 to {LONGEST_NAME} characters, no control characters, not `none`")
        })
    }
}

/// The one of `known` that `text` shows.
fn one_of<T: ToString, const N: usize>(known: [T; N], text: &str) -> Option<T> {
    let mut known = known.into_iter();
    known.find(|value| text.trim().eq_ignore_ascii_case(&value.to_string()))
}

fn too_long(time: Duration) -> Option<String> {
    (time > LONGEST).then(|| "must be at most 10 years".to_owned())
}
