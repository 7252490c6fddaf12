//! What the user sees while a scenario runs: a bar and a few lines that are drawn anew in place on a
//! terminal; a plain line each second in a pipe.
//!
//! All of it goes to standard error; standard output has only what is worth keeping. Colours are left
//! out where `NO_COLOR` is set.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::view::View;

/// From one plain line to the next.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// The whole that a bar shows a part of.
const WHOLE: u64 = 1_000;

/// Shows a run while it goes on.
#[derive(Debug)]
pub struct Progress<W> {
    shown: Shown,
    out: W,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines {
        /// When the last line was written; the run's beginning counts as one.
        last: Duration,
    },
}

impl Progress<io::Stderr> {
    /// Shows it on standard error.
    pub fn new() -> Self {
        // Hidden where there is no terminal, or one that cannot go back to a line.
        let target = ProgressDrawTarget::stderr();
        if target.is_hidden() {
            return Self::plain(io::stderr());
        }
        let bar = ProgressBar::with_draw_target(Some(WHOLE), target);
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:<6.bold} {wide_bar:.cyan} {percent:>3} %\n{msg}")
        {
            bar.set_style(style);
        }
        Self {
            shown: Shown::Bar(bar),
            out: io::stderr(),
        }
    }
}

impl Default for Progress<io::Stderr> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Write> Progress<W> {
    /// Writes plain lines to `out`.
    pub fn plain(out: W) -> Self {
        Self {
            shown: Shown::Lines {
                last: Duration::ZERO,
            },
            out,
        }
    }

    /// Shows the run as it is now; as a line only when one is due.
    pub fn show<R: Iterator<Item = f64> + Clone>(&mut self, view: &View<'_, R>) {
        match &mut self.shown {
            Shown::Bar(bar) => {
                bar.set_prefix(view.moment.phase);
                bar.set_position(view.done.permille.min(WHOLE));
                bar.set_message(view.lines());
            }
            Shown::Lines { last } => {
                if view.moment.at.saturating_sub(*last) >= LINE_EVERY {
                    *last = view.moment.at;
                    // A closed pipe is no reason to stop a run.
                    let _ = writeln!(self.out, "{}", view.line());
                }
            }
        }
    }

    /// The run is over: a terminal is as it was.
    pub fn finish(self) {
        if let Shown::Bar(bar) = self.shown {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Moment;
    use crate::view::tests::{MOMENT, view};

    #[test]
    fn a_pipe_gets_a_line_each_second_and_no_control_character() {
        let mut out = Vec::new();
        let mut progress = Progress::plain(&mut out);
        for quarter in 0..=20 {
            let moment = Moment {
                at: Duration::from_millis(250) * quarter,
                ..MOMENT
            };
            let mut view = view();
            view.moment = &moment;
            progress.show(&view);
        }
        progress.finish();

        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(
            text.lines()
                .all(|line| line.starts_with("work 8 s of 20 s: "))
        );
        assert!(!text.contains('\u{1b}') && !text.contains('\r'));
    }
}
