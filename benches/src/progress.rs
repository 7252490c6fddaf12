//! What the user sees while a scenario runs: a bar on a terminal, plain lines in a pipe.
//!
//! All of it goes to standard error; standard output has only what is worth keeping.

use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How many lines a phase writes at most where there is no terminal.
const LINES: u64 = 5;

/// The progress of one phase.
#[derive(Debug)]
pub struct Progress {
    phase: &'static str,
    end: u64,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    /// How many of the phase's lines have been written.
    Lines(u64),
}

impl Progress {
    /// A phase that ends at `end` of whatever it counts.
    pub fn new(phase: &'static str, end: u64) -> Self {
        let shown = if io::stderr().is_terminal() {
            let bar = ProgressBar::new(end);
            let template = "{prefix:<6} {wide_bar} {percent:>3} % {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_prefix(phase);
            bar.enable_steady_tick(Duration::from_millis(200));
            Shown::Bar(bar)
        } else {
            Shown::Lines(0)
        };
        Self {
            phase,
            end: end.max(1),
            shown,
        }
    }

    /// The phase is at `position`, and `message` says what that means.
    pub fn update(&mut self, position: u64, message: impl FnOnce() -> String) {
        let position = position.min(self.end);
        match &mut self.shown {
            Shown::Bar(bar) => {
                bar.set_message(message());
                bar.set_position(position);
            }
            Shown::Lines(written) => {
                let due = position * LINES / self.end;
                if due > *written {
                    *written = due;
                    say(&format!("{}: {}", self.phase, message()));
                }
            }
        }
    }

    /// The phase is over.
    pub fn finish(self) {
        if let Shown::Bar(bar) = self.shown {
            bar.finish_and_clear();
        }
    }
}

/// Writes a line for the user. A closed pipe is no reason to stop a run.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes a line that is worth keeping. A closed pipe is no reason to stop a run.
pub fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
