//! Randomness without state: a key and a salt give the same number in every process.

/// One of the streams of numbers; each caller derives its own by [`Key::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    /// The root of a fleet.
    pub(crate) fn root(seed: u64) -> Self {
        Self(mix(seed ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// A key of its own for one thing below this one.
    pub(crate) fn of(self, salt: u64) -> Self {
        Self(mix(self.0 ^ mix(salt.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// 64 even bits.
    pub(crate) fn bits(self, salt: u64) -> u64 {
        self.of(salt).0
    }

    /// An even number of `[0, 1)`.
    pub(crate) fn unit(self, salt: u64) -> f64 {
        (self.bits(salt) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// An even number of `[low, high)`.
    pub(crate) fn range(self, salt: u64, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit(salt)
    }

    /// One of `items`; `None` of an empty slice.
    pub(crate) fn pick<T: Copy>(self, salt: u64, items: &[T]) -> Option<T> {
        let count = u64::try_from(items.len()).ok().filter(|count| *count > 0)?;
        usize::try_from(self.bits(salt) % count).ok().and_then(|index| items.get(index).copied())
    }

    /// Noise that changes each second and whose integral is known: the difference of two neighbouring draws.
    /// `seconds` counts from any fixed start. In `(-1, 1)`, mean 0.
    pub(crate) fn jitter(self, seconds: f64) -> f64 {
        let second = whole_seconds(seconds);
        self.unit(second + 1) - self.unit(second)
    }

    /// The integral of [`Key::jitter`] from 0 to `seconds`: it telescopes, so it costs two draws. In `(-1, 1)`.
    pub(crate) fn jitter_integral(self, seconds: f64) -> f64 {
        let second = whole_seconds(seconds);
        let here = self.unit(second);
        here - self.unit(0) + (seconds - seconds.floor()) * (self.unit(second + 1) - here)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "seconds since a start: a float cast saturates"
)]
fn whole_seconds(seconds: f64) -> u64 {
    seconds as u64
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_integral_of_the_jitter_is_its_sum(seed: u64, seconds in 0_u64..500, part in 0.0_f64..1.0) {
            let key = Key::root(seed);
            let sum: f64 = (0..seconds).map(|s| key.jitter(s as f64)).sum();
            let end = seconds as f64 + part;
            prop_assert!((key.jitter_integral(end) - sum - part * key.jitter(end)).abs() < 1e-9);
        }

        #[test]
        fn a_range_holds_its_draws(seed: u64, salt: u64) {
            let drawn = Key::root(seed).range(salt, -3.0, 5.0);
            prop_assert!((-3.0..5.0).contains(&drawn));
        }
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(Key::root(1).bits(0), Key::root(2).bits(0));
    }
}
