//! How far a connection has read each of its subscriptions, as the `id` of an SSE event.
//!
//! One subscription: the tick in decimal, `1764000003007`. Several: the newest tick in base 36, then for each
//! subscription, in the order of the request, how many milliseconds it is behind that, in base 36; `-` where nothing
//! has been delivered yet: `midc26ts.0.7ps.-`. A browser's own `EventSource` sends it back as it got it. It comes from
//! the outside, so decoding is bounded, takes one spelling of each cursor, and trusts nothing.

use crate::tick::Tick;

/// The most subscriptions one cursor can hold; also the bound of a connection.
pub const SUBSCRIPTIONS_MAX: usize = 32;

/// The longest text that can be a cursor, in bytes: a base-36 tick and so many base-36 distances.
pub const TEXT_MAX: usize = (SUBSCRIPTIONS_MAX + 1) * 10;

/// The last tick delivered for each subscription of a connection, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(Vec<Option<Tick>>);

/// Why a text is not a cursor.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Invalid {
    /// Longer than any cursor.
    #[error("a cursor has at most {TEXT_MAX} characters")]
    TooLong,
    /// Not of the form that [`Cursor::encode`] writes.
    #[error("not a cursor: send back the id of an event as it came, or nothing")]
    Malformed,
    /// A tick before the epoch, or after the year 9999.
    #[error("the cursor names a time that no event can have had")]
    OutOfRange,
}

impl Cursor {
    /// A cursor over these positions. More than [`SUBSCRIPTIONS_MAX`] are cut off: no connection has more.
    pub fn new(positions: impl IntoIterator<Item = Option<Tick>>) -> Self {
        Self(positions.into_iter().take(SUBSCRIPTIONS_MAX).collect())
    }

    /// The positions, in the order of the request.
    pub fn positions(&self) -> &[Option<Tick>] {
        &self.0
    }

    /// The text of this cursor; nothing where no subscription has had an update yet.
    pub fn encode(&self) -> Option<String> {
        let newest = self.0.iter().flatten().max()?;
        if let [Some(tick)] = self.0.as_slice() {
            return Some(tick.to_string());
        }
        let mut text = String::with_capacity(9 + 5 * self.0.len());
        push_base36(&mut text, newest.millis());
        for position in &self.0 {
            text.push('.');
            match position {
                Some(tick) => push_base36(&mut text, newest.since(*tick)),
                None => text.push('-'),
            }
        }
        Some(text)
    }

    /// Reads what [`Cursor::encode`] wrote.
    pub fn decode(text: &str) -> Result<Self, Invalid> {
        if text.len() > TEXT_MAX {
            return Err(Invalid::TooLong);
        }
        let cursor = match text.split_once('.') {
            None => Self(vec![Some(tick(parse(text, 10)?)?)]),
            Some((newest, rest)) => several(parse(newest, 36)?, rest)?,
        };
        // One spelling each: what decodes but would print otherwise was not written by a gateway.
        if cursor.encode().as_deref() == Some(text) { Ok(cursor) } else { Err(Invalid::Malformed) }
    }
}

fn several(newest: i64, rest: &str) -> Result<Cursor, Invalid> {
    let position = |part: &str| match part {
        "-" => Ok(None),
        behind => Ok(Some(tick(newest - parse(behind, 36)?)?)),
    };
    let positions: Vec<_> = rest.split('.').map(position).collect::<Result<_, Invalid>>()?;
    if positions.len() > SUBSCRIPTIONS_MAX { Err(Invalid::Malformed) } else { Ok(Cursor(positions)) }
}

fn tick(millis: i64) -> Result<Tick, Invalid> {
    let tick = Tick::from_millis(millis);
    if tick.millis() == millis { Ok(tick) } else { Err(Invalid::OutOfRange) }
}

/// Up to 15 digits, so that no sum of two can overflow.
fn parse(digits: &str, radix: u32) -> Result<i64, Invalid> {
    let plain = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_alphanumeric());
    if !plain {
        return Err(Invalid::Malformed);
    }
    match i64::from_str_radix(digits, radix) {
        Ok(number) if number <= Tick::MAX.millis() => Ok(number),
        Ok(_) => Err(Invalid::OutOfRange),
        Err(_) => Err(Invalid::Malformed),
    }
}

/// Digits are found from the last to the first. They wait on the stack: this is done for each subscription of a connection
/// at each of its events.
fn push_base36(text: &mut String, number: i64) {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    const LONGEST: usize = 13;
    let mut digits = [0; LONGEST];
    let mut from = LONGEST;
    let mut rest = u64::try_from(number).unwrap_or_default();
    loop {
        from -= 1;
        digits[from] = DIGITS[usize::try_from(rest % 36).unwrap_or_default()];
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    text.push_str(std::str::from_utf8(&digits[from..]).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn positions() -> impl Strategy<Value = Vec<Option<Tick>>> {
        let tick = (Tick::MIN.millis()..=Tick::MAX.millis()).prop_map(Tick::from_millis);
        proptest::collection::vec(proptest::option::of(tick), 1..=SUBSCRIPTIONS_MAX)
    }

    #[test]
    fn one_subscription_is_its_tick() {
        let cursor = Cursor::new([Some(Tick::from_millis(1_764_000_003_007))]);
        assert_eq!(cursor.encode().unwrap(), "1764000003007");
    }

    #[test]
    fn several_are_distances_from_the_newest() {
        let at = |millis: i64| Some(Tick::from_millis(1_764_000_000_000 + millis));
        let cursor = Cursor::new([at(10_000), at(0), None]);
        assert_eq!(cursor.encode().unwrap(), "midc26ts.0.7ps.-");
    }

    #[test]
    fn the_longest_number_has_a_place() {
        let mut text = String::new();
        push_base36(&mut text, i64::MAX);
        assert_eq!(i64::from_str_radix(&text, 36), Ok(i64::MAX));
    }

    #[test]
    fn nothing_delivered_has_no_text() {
        assert_eq!(Cursor::new([None, None]).encode(), None);
    }

    #[test]
    fn what_no_gateway_wrote_is_refused() {
        let long = "9".repeat(TEXT_MAX + 1);
        for text in [
            "",
            "abc",
            "-1",
            "+5",
            "0x10",
            "007",
            "1.",
            ".",
            "1.-",
            "1.2",
            "z.0.",
            "Z.0.0",
            "1 ",
            "999999999999999",
            &long,
        ] {
            assert!(Cursor::decode(text).is_err(), "{text:?} was taken");
        }
        let many = format!("a{}", ".0".repeat(SUBSCRIPTIONS_MAX + 1));
        assert_eq!(Cursor::decode(&many), Err(Invalid::Malformed));
    }

    proptest! {
        #[test]
        fn a_cursor_round_trips(positions in positions()) {
            let cursor = Cursor::new(positions);
            match cursor.encode() {
                Some(text) => {
                    prop_assert!(text.len() <= TEXT_MAX);
                    prop_assert_eq!(Cursor::decode(&text).unwrap(), cursor);
                }
                None => prop_assert!(cursor.positions().iter().all(Option::is_none)),
            }
        }

        #[test]
        fn any_text_is_refused_or_is_what_it_prints(text in "[0-9a-z.\\-]{0,60}") {
            if let Ok(cursor) = Cursor::decode(&text) {
                prop_assert_eq!(cursor.encode().unwrap(), text);
            }
        }
    }
}
