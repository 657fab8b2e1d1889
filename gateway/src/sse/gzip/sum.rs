//! The checksum of a gzip stream (RFC 1952, 2.3.1), put together from the checksums of its pieces.

use crc32fast::Hasher;

/// The polynomial of CRC-32, without its highest power; bit 31 is the power 0 (RFC 1952, 8).
const POLYNOMIAL: u32 = 0xEDB8_8320;

/// The power 0.
const ONE: u32 = 1 << 31;

/// What a text that many send adds to a checksum. Adding it takes the same time whatever the length.
#[derive(Clone, Copy, Debug)]
pub(in crate::sse) struct Sum {
    crc: u32,
    /// What the bytes before it are multiplied with: x to the power of its bits.
    shift: u32,
    bytes: u32,
}

/// The checksum and the length of all that was sent so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Running {
    crc: u32,
    /// Modulo 2^32, as it stands in the trailer.
    bytes: u32,
}

impl Sum {
    /// Of this text.
    pub(in crate::sse) fn of(text: &[u8]) -> Self {
        Self { crc: crc32fast::hash(text), shift: power_of_bytes(text.len()), bytes: modulo(text.len()) }
    }
}

impl Running {
    /// A shared text follows.
    pub(super) fn add(&mut self, sum: &Sum) {
        self.crc = multiply(sum.shift, self.crc) ^ sum.crc;
        self.bytes = self.bytes.wrapping_add(sum.bytes);
    }

    /// These bytes follow.
    pub(super) fn add_bytes(&mut self, bytes: &[u8]) {
        let mut hasher = Hasher::new_with_initial(self.crc);
        hasher.update(bytes);
        self.crc = hasher.finalize();
        self.bytes = self.bytes.wrapping_add(modulo(bytes.len()));
    }

    /// As it stands at the end of a stream.
    pub(super) fn trailer(self) -> [u8; 8] {
        let ([a, b, c, d], [e, f, g, h]) = (self.crc.to_le_bytes(), self.bytes.to_le_bytes());
        [a, b, c, d, e, f, g, h]
    }
}

fn modulo(length: usize) -> u32 {
    u32::try_from(length & 0xFFFF_FFFF).unwrap_or_default()
}

/// The product of two polynomials over GF(2), modulo that of CRC-32.
fn multiply(left: u32, right: u32) -> u32 {
    let (mut left, mut right, mut product) = (left, right, 0);
    while left != 0 {
        if left & ONE != 0 {
            product ^= right;
        }
        left <<= 1;
        right = if right & 1 == 0 { right >> 1 } else { (right >> 1) ^ POLYNOMIAL };
    }
    product
}

/// x to the power of eight times so many.
fn power_of_bytes(bytes: usize) -> u32 {
    let (mut power, mut square, mut left) = (ONE, ONE >> 8, bytes);
    while left != 0 {
        if left & 1 == 1 {
            power = multiply(square, power);
        }
        square = multiply(square, square);
        left >>= 1;
    }
    power
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_sum_of_pieces_is_that_of_the_whole(
            pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..600)), 0..12),
        ) {
            let (mut running, mut whole) = (Running::default(), Vec::new());
            for (shared, piece) in pieces {
                if shared { running.add(&Sum::of(&piece)) } else { running.add_bytes(&piece) }
                whole.extend_from_slice(&piece);
            }
            let length = u32::try_from(whole.len()).unwrap();
            let expected = [crc32fast::hash(&whole).to_le_bytes(), length.to_le_bytes()].concat();
            prop_assert_eq!(running.trailer().to_vec(), expected);
        }
    }
}
