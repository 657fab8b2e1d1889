//! Times and durations as Prometheus reads them (`web/api/v1/api.go`, `parseTime` and `parseDuration`), with its words for what
//! it cannot read.

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;
use promcast_proto::tick::Tick;

/// Stands for the earliest time that there is, and the latest: some clients print these.
const EARLIEST: &str = "-292273086-05-16T16:47:06Z";
const LATEST: &str = "292277025-08-18T07:12:54.999999999Z";

/// Milliseconds since the epoch, from seconds with a fraction or RFC 3339.
pub(super) fn millis(text: &str) -> Result<i64, String> {
    let refusal = || format!("cannot parse {text:?} to a valid timestamp");
    match text {
        EARLIEST => return Ok(Tick::MIN.millis()),
        LATEST => return Ok(Tick::MAX.millis()),
        _ => {}
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds).ok_or_else(refusal);
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| refusal())?;
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).map_err(|_| refusal())
}

/// Prometheus rounds the fraction to milliseconds. What is too large for it, or no number, is refused here.
#[expect(clippy::cast_possible_truncation, reason = "bounded before")]
fn from_seconds(seconds: f64) -> Option<i64> {
    let fits = seconds.is_finite() && seconds.abs() < 1e15;
    fits.then(|| seconds.trunc() as i64 * 1000 + (seconds.fract() * 1000.0).round() as i64)
}

/// A time at which a query can be evaluated.
pub(super) fn tick(text: &str) -> Result<Tick, String> {
    let millis = millis(text)?;
    let possible = (Tick::MIN.millis()..=Tick::MAX.millis()).contains(&millis);
    possible
        .then(|| Tick::from_millis(millis))
        .ok_or_else(|| format!("{text:?} is not between the years 1970 and 9999"))
}

/// Nanoseconds, from seconds with a fraction or a duration such as `1h30m`.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    let refusal = || format!("cannot parse {text:?} to a valid duration");
    if let Ok(seconds) = text.parse::<f64>() {
        let nanos = seconds * 1e9;
        if nanos.abs() >= 9.2e18 {
            return Err(format!("{}. It overflows int64", refusal()));
        }
        return whole(nanos).ok_or_else(refusal);
    }
    units(text).ok_or_else(refusal)
}

#[expect(clippy::cast_possible_truncation, reason = "bounded before")]
fn whole(nanos: f64) -> Option<i64> {
    (!nanos.is_nan()).then_some(nanos as i64)
}

/// The units of a duration in the order in which they may stand, in milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// `1w2d`: each unit once at most, the larger before the smaller. The parser of PromQL has such a function, which lets pass what
/// overflows.
fn units(text: &str) -> Option<i64> {
    let (mut rest, mut left, mut millis) = (text, UNITS.as_slice(), 0i64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, behind) =
            behind.split_at(behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len()));
        let at = left.iter().position(|(name, _)| *name == unit)?;
        let (_, of) = left.get(at)?;
        millis = number.parse::<i64>().ok()?.checked_mul(*of)?.checked_add(millis)?;
        (rest, left) = (behind, left.get(at + 1..)?);
    }
    millis.checked_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_prometheus_reads_them() {
        let good = [
            ("1764000000", 1_764_000_000_000),
            ("1764000000.123", 1_764_000_000_123),
            ("1764000000.1236", 1_764_000_000_124),
            ("1.764e9", 1_764_000_000_000),
            ("-5", -5_000),
            ("2025-11-24T16:00:00Z", 1_764_000_000_000),
            ("2025-11-24T17:00:00.0079+01:00", 1_764_000_000_007),
            (EARLIEST, 0),
            (LATEST, Tick::MAX.millis()),
        ];
        for (text, expected) in good {
            assert_eq!(millis(text), Ok(expected), "{text}");
        }
        for bad in ["", "abc", "NaN", "1e300", "inf", "2025-11-24", "1764000000s", "2025-11-24T16:00:00"] {
            assert_eq!(millis(bad), Err(format!("cannot parse {bad:?} to a valid timestamp")));
        }
        assert!(tick("-5").is_err() && tick("1e12").is_err());
    }

    #[test]
    fn durations_are_read_as_prometheus_reads_them() {
        let good = [
            ("15", 15_000),
            ("0.5", 500),
            ("-5", -5_000),
            ("0", 0),
            ("0s", 0),
            ("15s", 15_000),
            ("1h30m", 5_400_000),
            ("1y1w1d1h1m1s1ms", 31_536_000_000 + 604_800_000 + 86_400_000 + 3_661_001),
        ];
        for (text, expected) in good {
            assert_eq!(duration(text), Ok(expected * 1_000_000), "{text}");
        }
        for bad in
            ["", "abc", "1m1h", "1s1s", "s", "5x", "1 s", "300y", "99999999999999999999s", "NaN", "1m "]
        {
            assert_eq!(duration(bad), Err(format!("cannot parse {bad:?} to a valid duration")));
        }
        assert_eq!(
            duration("1e30"),
            Err("cannot parse \"1e30\" to a valid duration. It overflows int64".to_owned())
        );
    }
}
