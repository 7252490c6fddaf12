//! Lines for the user. A closed pipe is no reason to stop a run, which may have a report to write.

use std::io::{self, Write};

/// Writes a line of what goes on, to standard error.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes a line that is worth keeping, to standard output.
pub(crate) fn print(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
