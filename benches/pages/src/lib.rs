//! Pages for the reports of the benches: each is one HTML file that needs no other file, no script
//! and no network, and reads well in light and dark, on a phone, and by ear.
//!
//! ```text
//! page    the document around the sections, and its style
//! plot    lines over time or percentiles, as inline SVG
//! axis    from where to where, and the labels
//! table   the same figures for who cannot see a plot, and lists of facts
//! file    where a page goes, and why it cannot
//! lines   what is said meanwhile
//! ```
//!
//! What a page is about is not known here. All text is escaped by `maud`; only the drawing of a plot
//! is taken as it is, and its labels were escaped by `plotters`.

#![forbid(unsafe_code)]

pub mod axis;
pub mod file;
pub mod lines;
pub mod page;
pub mod plot;
pub mod table;
