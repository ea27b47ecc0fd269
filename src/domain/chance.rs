//! The crate's one source of random numbers: SplitMix64, seeded, so that one printed seed repeats a run.
//!
//! For jitter, faults and tests. Never for secrets: those come from the operating system.

use std::time::Duration;

/// A seeded stream of numbers.
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
}

impl Chance {
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A stream of its own for `number`, so that neighbours with one seed do not move in step.
    pub fn branch(seed: u64, number: u64) -> Self {
        let mut stem = Self::new(seed ^ number.wrapping_mul(0xA24B_AED4_963E_E407));
        Self::new(stem.draw())
    }

    /// The next 64 bits (Steele, Lea, Flood 2014: SplitMix64).
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; zero if the bound is zero. The bias is below 2^-32 for bounds below 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or(0)
    }

    /// True in `parts` of a million draws.
    pub fn happens(&mut self, parts_per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(parts_per_million)
    }

    /// Between half of `span` and all of it.
    pub fn jitter(&mut self, span: Duration) -> Duration {
        let half = span / 2;
        let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX - 1);
        half + Duration::from_micros(self.below(micros.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_stream_of_seed_zero() {
        let mut chance = Chance::new(0);
        assert_eq!(chance.draw(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(chance.draw(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn rates_and_jitter_keep_their_bounds() {
        let mut chance = Chance::new(7);
        let hits = (0..100_000).filter(|_| chance.happens(50_000)).count();
        assert!((4_500..5_500).contains(&hits), "{hits}");
        assert!(!(0..1_000).any(|_| chance.happens(0)));
        assert!((0..1_000).all(|_| chance.happens(1_000_000)));
        let span = Duration::from_millis(100);
        for _ in 0..1_000 {
            let drawn = chance.jitter(span);
            assert!(drawn >= span / 2 && drawn <= span, "{drawn:?}");
        }
        assert_eq!(chance.below(0), 0);
    }
}
