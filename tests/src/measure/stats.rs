//! Percentiles, medians and ratios.

/// The value that `permille` of all are at or below, by nearest rank; nothing of nothing. Sorts them.
pub fn permille(values: &mut [u32], permille: usize) -> Option<u32> {
    values.sort_unstable();
    of_sorted(values, permille)
}

/// The same of values that are in order.
pub fn of_sorted<T: Copy>(sorted: &[T], permille: usize) -> Option<T> {
    let rank = (sorted.len() * permille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied()
}

/// The middle value, or the mean of both; nothing of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => Some((sorted.get(middle.checked_sub(1)?)? + sorted.get(middle)?) / 2.0),
        _ => sorted.get(middle).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut values: Vec<u32> = (1..=1000).rev().collect();
        assert_eq!(permille(&mut values, 500), Some(500));
        assert_eq!(permille(&mut values, 990), Some(990));
        assert_eq!(permille(&mut values, 999), Some(999));
        assert_eq!(permille(&mut values, 1000), Some(1000));
        assert_eq!(permille(&mut [7, 3], 500), Some(3));
        assert_eq!(permille(&mut [7], 999), Some(7));
        assert_eq!(permille(&mut [], 500), None);
    }

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
