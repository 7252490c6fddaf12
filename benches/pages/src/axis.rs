//! An axis of a plot: from where to where, and which places have a label.
//!
//! Places are numbers on a line. A logarithmic axis is one whose caller places logarithms.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;

/// An axis.
#[derive(Debug, Clone)]
pub struct Axis {
    name: String,
    range: Range<f64>,
    marks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis over `range` with labels at `marks`; `name` says what it shows, with the unit.
    pub fn new(name: &str, range: Range<f64>, marks: Vec<(f64, String)>) -> Self {
        Self {
            name: name.to_owned(),
            range,
            marks,
        }
    }

    /// From zero to a round number of at least `most`, with up to six labels by `label`.
    pub fn from_zero(name: &str, most: f64, label: impl Fn(f64) -> String) -> Self {
        let most = if most.is_finite() && most > 0.0 {
            most
        } else {
            1.0
        };
        let step = round_step(most / 5.0);
        let steps = (most / step - 1e-9).ceil();
        let marks = upto(steps)
            .map(|number| (number * step, label(number * step)))
            .collect();
        Self::new(name, 0.0..steps * step, marks)
    }

    /// The powers of ten from below `least` to above `most`; its places are logarithms.
    pub fn powers_of_ten(name: &str, least: f64, most: f64, label: impl Fn(f64) -> String) -> Self {
        let low = least.max(1.0).log10().floor();
        let high = most.max(1.0).log10().ceil().max(low + 1.0);
        let marks = upto(high - low)
            .map(|number| (low + number, label(10_f64.powf(low + number))))
            .collect();
        Self::new(name, low..high, marks)
    }

    /// What it shows.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, limit: (i32, i32)) -> i32 {
        RangedCoordf64::from(self.range.clone()).map(place, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.marks.iter().map(|(place, _)| *place).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    /// The label at a place that [`key_points`](Ranged::key_points) gave.
    fn format(place: &f64) -> String {
        place.to_string()
    }

    fn format_ext(&self, place: &f64) -> String {
        let is_here = |mark: &f64| (mark - place).abs() <= f64::EPSILON * mark.abs();
        let mark = self.marks.iter().find(|(mark, _)| is_here(mark));
        mark.map_or_else(|| Self::format(place), |(_, label)| label.clone())
    }
}

/// 0, 1, 2 up to `last`.
fn upto(last: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(0.0), |number| Some(number + 1.0))
        .take_while(move |number| *number <= last)
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.marks.iter().map(|(_, label)| &**label).collect()
    }

    #[test]
    fn an_axis_ends_at_a_round_number_and_labels_its_steps() {
        let axis = Axis::from_zero("n", 87.0, |n| n.to_string());
        assert_eq!(axis.range, 0.0..100.0);
        assert_eq!(labels(&axis), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(axis.format_ext(&40.0), "40");
    }

    #[test]
    fn an_axis_of_nothing_has_a_length() {
        assert_eq!(Axis::from_zero("n", 0.0, |n| n.to_string()).range, 0.0..1.0);
        assert_eq!(
            Axis::powers_of_ten("n", 0.0, 0.0, |n| n.to_string()).range,
            0.0..1.0
        );
    }

    #[test]
    fn powers_of_ten_enclose_the_figures() {
        let axis = Axis::powers_of_ten("n", 250.0, 90_000.0, |n| n.to_string());
        assert_eq!(axis.range, 2.0..5.0);
        assert_eq!(labels(&axis), ["100", "1000", "10000", "100000"]);
        assert_eq!(axis.format_ext(&3.0), "1000");
    }
}
