//! One run of one pool, in a process of its own.
//!
//! A pool that hangs, spins or panics ends with its process: it does not stop the run, and takes no
//! time from the pools after it. The process is this program with a few arguments more; it prints what
//! it measured as a JSON list.

use std::env;
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::contest::{Contender, Contest, Values};
use crate::lines::say;

/// A run takes a few seconds; what takes longer does not end.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs `contender` once at `address` and gives what it measured: nothing when it did not end.
pub(crate) fn run(contest: &Contest, contender: &Contender, address: &str) -> Values {
    let measured = env::current_exe().and_then(|program| {
        let mut command = Command::new(program);
        command.args(["--once", contest.key, contender.name, address]);
        output(&mut command, LIMIT)
    });
    let told = match measured {
        Ok(Some(text)) => serde_json::from_str(&text).map_err(|error| error.to_string()),
        Ok(None) => Err(format!("did not end within {LIMIT:?}")),
        Err(error) => Err(error.to_string()),
    };
    told.unwrap_or_else(|why| {
        say(&format!("{} in {}: {why}", contender.name, contest.key));
        Values::new()
    })
}

/// What `command` prints; `None` when it had to be killed.
fn output(command: &mut Command, limit: Duration) -> io::Result<Option<String>> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let (sender, receiver) = mpsc::channel();
    if let Some(mut stdout) = child.stdout.take() {
        thread::spawn(move || {
            let mut text = String::new();
            let read = stdout.read_to_string(&mut text).map(|_| text);
            // Nobody listens any more when the time was up.
            let _ = sender.send(read);
        });
    }
    let text = receiver.recv_timeout(limit);
    child.kill()?;
    child.wait()?;
    text.ok().transpose()
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str, limit: Duration) -> Option<String> {
        output(Command::new("sh").args(["-c", script]), limit).expect("there is a shell")
    }

    #[test]
    fn what_is_printed_is_read() {
        let text = shell("echo '[1.5,null]'", LIMIT).unwrap();
        let values: Values = serde_json::from_str(&text).unwrap();
        assert_eq!(values, [Some(1.5), None]);
    }

    #[test]
    fn what_hangs_is_ended() {
        let began = Instant::now();
        assert_eq!(shell("exec sleep 60", Duration::from_millis(50)), None);
        assert!(began.elapsed() < LIMIT);
    }

    #[test]
    fn what_dies_has_measured_nothing() {
        assert_eq!(shell("exit 101", LIMIT).as_deref(), Some(""));
    }
}
