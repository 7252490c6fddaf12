//! Loads: how many checkouts a second callers ask for, second by second.

use std::f64::consts::TAU;
use std::path::Path;

use crate::Failure;

/// A load over time.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) name: String,
    /// What it is, for people.
    pub(crate) about: String,
    /// Checkouts a second in each second.
    pub(crate) rates: Vec<f64>,
}

const MINUTE: u32 = 60;

impl Load {
    fn shaped(name: &str, about: &str, minutes: u32, rate: impl Fn(u32) -> f64) -> Self {
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
            rates: (0..minutes * MINUTE).map(rate).collect(),
        }
    }

    /// One for each way a load can change.
    pub(crate) fn all() -> Vec<Self> {
        let between =
            |second: u32, from: u32, to: u32| (from * MINUTE..to * MINUTE).contains(&second);
        vec![
            Self::shaped(
                "step",
                "20 checkouts a second; from minute 5 to 20 a hundred more",
                30,
                |second| if between(second, 5, 20) { 120.0 } else { 20.0 },
            ),
            Self::shaped(
                "ramp",
                "from 10 to 190 checkouts a second in 20 minutes, and back in 10",
                30,
                |second| {
                    let minute = f64::from(second) / f64::from(MINUTE);
                    let up = minute / 20.0;
                    let down = (30.0 - minute) / 10.0;
                    10.0 + 180.0 * up.min(down)
                },
            ),
            Self::shaped(
                "spike",
                "20 checkouts a second, and 200 for ten seconds every five minutes",
                30,
                |second| {
                    let is_spike = second >= MINUTE && second % (5 * MINUTE) < 10;
                    if is_spike { 200.0 } else { 20.0 }
                },
            ),
            Self::shaped(
                "day",
                "a day in two hours: 10 checkouts a second at night, 150 in the afternoon",
                120,
                |second| {
                    let day = f64::from(second) / f64::from(120 * MINUTE);
                    80.0 - 70.0 * (TAU * day).cos()
                },
            ),
            Self::shaped(
                "flapping",
                "90 and 30 checkouts a second, twenty seconds each",
                30,
                |second| if second / 20 % 2 == 0 { 90.0 } else { 30.0 },
            ),
        ]
    }

    /// A recorded load: the checkouts of each second, one number a line.
    pub(crate) fn recorded(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("--recorded ({}) cannot be read: {error}", file.display()))?;
        let mut rates = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let rate = line.trim().parse().ok();
            let rate = rate.filter(|rate: &f64| (0.0..=1e5).contains(rate));
            rates.push(rate.ok_or_else(|| {
                let (file, number) = (file.display(), number + 1);
                format!(
                    "{file}, line {number} ({line}) must be a number of checkouts, up to 100,000"
                )
            })?);
        }
        Ok(Self {
            name: "recorded".to_owned(),
            about: file.display().to_string(),
            rates,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Load;

    #[test]
    fn no_load_is_negative_or_more_than_a_pool_of_64_can_serve() {
        for load in Load::all() {
            let most = load.rates.iter().copied().fold(0.0, f64::max);
            assert!(
                most <= 250.0 && load.rates.iter().all(|rate| *rate > 0.0),
                "{}",
                load.name
            );
        }
    }

    #[test]
    fn a_recorded_load_is_read_line_by_line_and_what_is_no_number_is_named() {
        let folder = std::env::temp_dir().join(format!("pool-simulation-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("load.txt");
        std::fs::write(&file, "1\n2.5\n").unwrap();
        assert_eq!(Load::recorded(&file).unwrap().rates, [1.0, 2.5]);
        std::fs::write(&file, "1\nmany\n").unwrap();
        let told = Load::recorded(&file).unwrap_err().to_string();
        assert!(told.contains("line 2 (many) must be a number"), "{told}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
