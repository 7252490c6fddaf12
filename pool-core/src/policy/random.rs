//! A small source of random numbers for jitter.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// `SplitMix64` (Steele, Lea and Flood 2014): 64 bits of state, uniform enough to spread load.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A source whose numbers are the same for the same seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A source whose numbers differ from run to run.
    pub(crate) fn new() -> Self {
        Self::seeded(RandomState::new().build_hasher().finish())
    }

    /// A number from 0 to 1, the end excluded.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn numbers_lie_in_the_unit_interval_and_spread_over_it() {
        let mut random = Random::seeded(1);
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let unit = random.unit();
            assert!((0.0..1.0).contains(&unit));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 9"
            )]
            let tenth = (unit * 10.0) as usize;
            tenths[tenth] += 1;
        }
        assert!(
            tenths.iter().all(|count| (850..1150).contains(count)),
            "{tenths:?}"
        );
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    fn numbers_are_those_of_the_paper() {
        let mut random = Random::seeded(1_234_567);
        for number in [
            6_457_827_717_110_365_317_u64,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ] {
            let unit = (number >> 11) as f64 / (1_u64 << 53) as f64;
            assert_eq!(random.unit().to_bits(), unit.to_bits());
        }
    }

    #[test]
    fn a_seed_repeats_its_numbers_and_no_seed_does_not() {
        let (mut a, mut b) = (Random::seeded(7), Random::seeded(7));
        assert_eq!(a.unit().to_bits(), b.unit().to_bits());
        assert_ne!(
            Random::new().unit().to_bits(),
            Random::new().unit().to_bits()
        );
    }
}
