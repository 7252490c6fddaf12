//! A line of bars of one character each.

/// From the lowest bar to the highest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar for each value, the highest for the largest of them; no value is below zero.
pub fn sparkline(values: impl Iterator<Item = f64> + Clone) -> String {
    let most = values.clone().fold(0.0, f64::max);
    values.map(|value| bar(value, most)).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of seven"
)]
fn bar(value: f64, most: f64) -> char {
    if most <= 0.0 {
        return BARS[0];
    }
    let highest = BARS.len() - 1;
    let number = (value / most * 7.0).round().max(0.0) as usize;
    BARS[number.min(highest)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_has_the_highest_bar_and_zero_the_lowest() {
        let line = sparkline([0.0, 50.0, 100.0].into_iter());
        assert_eq!(line, "▁▅█");
    }

    #[test]
    fn nothing_at_all_is_a_flat_line() {
        assert_eq!(sparkline([0.0, 0.0].into_iter()), "▁▁");
        assert_eq!(sparkline([].into_iter()), "");
    }
}
