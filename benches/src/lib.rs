//! The load bench, criterion benches and comparisons.
//!
//! `cargo load` opens many real connections, holds all of them at the same time, works them, and checks
//! that nothing was lost. From the command to the pool, an arrow only points down:
//!
//! ```text
//! options   the command line as given        command   from there to the exit status
//! plan      everything decided               baseline  against an earlier report
//! verdict   what is wrong                    table, page  for people;  report  for machines
//! engine    runs a scenario: the only module that uses the pool
//! backend   what the connections lead to
//! progress  while it runs: shows a view, made of a sparkline and rates
//! latency, timeline, footprint, limits, room, machine, period, nothing: plain measuring, no pool
//! ```

#![forbid(unsafe_code)]

pub mod backend;
pub mod baseline;
pub mod command;
pub mod engine;
pub mod footprint;
pub mod latency;
pub mod limits;
pub mod machine;
pub mod nothing;
pub mod options;
pub mod page;
pub mod period;
pub mod plan;
pub mod progress;
pub mod rates;
pub mod report;
pub mod room;
pub mod sparkline;
pub mod table;
pub mod timeline;
pub mod verdict;
pub mod view;
