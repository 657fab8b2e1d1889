//! The mark in each event: its number and when it was published, found again in whatever pieces a socket gives.

/// Begins a mark, and is nowhere else in a stream.
const BEGIN: u8 = b'@';

/// Bytes of a mark: two of [`BEGIN`], 8 digits of the number, 16 of the time, all hexadecimal.
pub const LENGTH: usize = 26;

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The number of the event, from 0.
    pub number: u32,
    /// When it was published, in nanoseconds of the monotonic clock.
    pub at: u64,
}

impl Mark {
    /// The bytes.
    pub fn write(self) -> [u8; LENGTH] {
        let mut bytes = [BEGIN; LENGTH];
        let text = format!("{:08x}{:016x}", self.number, self.at);
        for (place, byte) in bytes.iter_mut().skip(2).zip(text.bytes()) {
            *place = byte;
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes.get(2..LENGTH)?).ok()?;
        let number = u32::from_str_radix(text.get(..8)?, 16).ok()?;
        Some(Self { number, at: u64::from_str_radix(text.get(8..)?, 16).ok()? })
    }
}

/// Monotonic time in nanoseconds: the same clock in each process of the machine.
pub fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}

/// Looks for marks in a stream of bytes.
///
/// So many bytes behind each mark are passed over without a look, because the rest of the event is known: what is left to
/// look at are a few hundred bytes for each event, however large it is.
#[derive(Debug)]
pub struct Scanner {
    /// Bytes to pass over behind a mark.
    after: usize,
    skip: usize,
    /// A mark that has begun.
    begun: [u8; LENGTH],
    have: usize,
}

impl Scanner {
    /// One that passes over so many bytes behind each mark.
    pub fn new(after: usize) -> Self {
        Self { after, skip: 0, begun: [0; LENGTH], have: 0 }
    }

    /// Reads on, and tells each mark that is complete.
    pub fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(Mark)) {
        loop {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = bytes.get(passed..).unwrap_or_default();
            if self.have == 0 {
                let Some(begin) = bytes.iter().position(|byte| *byte == BEGIN) else { return };
                bytes = bytes.get(begin..).unwrap_or_default();
            }
            if bytes.is_empty() {
                return;
            }
            bytes = self.collect(bytes, &mut found);
        }
    }

    /// Takes what belongs to the mark that has begun; the rest is handed back.
    fn collect<'a>(&mut self, bytes: &'a [u8], found: &mut impl FnMut(Mark)) -> &'a [u8] {
        let taken = (LENGTH - self.have).min(bytes.len());
        let (mine, rest) = bytes.split_at(taken);
        if let Some(room) = self.begun.get_mut(self.have..self.have + taken) {
            room.copy_from_slice(mine);
        }
        self.have += taken;
        if self.have == LENGTH {
            self.have = 0;
            if let Some(mark) = Mark::read(&self.begun) {
                self.skip = self.after;
                found(mark);
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marks(scanner: &mut Scanner, pieces: &[&[u8]]) -> Vec<Mark> {
        let mut all = Vec::new();
        for piece in pieces {
            scanner.read(piece, |mark| all.push(mark));
        }
        all
    }

    #[test]
    fn what_is_behind_a_mark_is_passed_over() {
        let first = Mark { number: 1, at: 2 };
        let hidden = Mark { number: 3, at: 4 };
        let bytes = [&b"data: "[..], &first.write(), &hidden.write(), b"\n\n", &first.write()].concat();
        assert_eq!(marks(&mut Scanner::new(LENGTH), &[&bytes]), [first, first]);
        assert_eq!(marks(&mut Scanner::new(0), &[&bytes]), [first, hidden, first]);
    }

    proptest! {
        #[test]
        fn each_mark_is_found_once_wherever_the_stream_is_cut(
            numbers in prop::collection::vec(any::<(u32, u64)>(), 1..20),
            cuts in prop::collection::vec(1usize..40, 1..200),
        ) {
            let sent: Vec<_> = numbers.iter().map(|(number, at)| Mark { number: *number, at: *at }).collect();
            let mut stream = Vec::new();
            for mark in &sent {
                stream.extend_from_slice(b"event: metric-update\ndata: {\"mark\":\"");
                stream.extend_from_slice(&mark.write());
                stream.extend_from_slice(b"\",\"pad\":\"0123456789\"}\nid: 7\n\n");
            }
            let (mut pieces, mut rest) = (Vec::new(), stream.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = more;
            }
            prop_assert_eq!(marks(&mut Scanner::new(20), &pieces), sent);
        }
    }
}
