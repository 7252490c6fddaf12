//! `cargo load`: see [`pool_benches::command`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use pool_benches::command;
use pool_benches::options::Options;

fn main() -> ExitCode {
    command::run(&Options::parse())
}
