//! The rendered result inside an update: JSON as it stands in the event, compressed where that pays.

use serde::{Deserialize, Serialize};

/// From this many bytes a body is compressed. Below, a DCGM result of 8 series, compression saves less than a
/// NATS message's own overhead is worth.
pub const COMPRESS_FROM: usize = 4 * 1024;

/// The most bytes of a body on the bus. NATS refuses messages over 1 MiB by default, headers included.
pub const PACKED_MAX: usize = 768 * 1024;

/// zstd's fastest level: label sets repeat so much that higher levels gain little and cost a poller its time.
const LEVEL: i32 = 1;

/// How the bytes of a [`Body`] are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As they are.
    Identity,
    /// One zstd frame (RFC 8878).
    Zstd,
}

/// A rendered result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    encoding: Encoding,
    size: u32,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
}

/// Why a body cannot be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Over [`PACKED_MAX`] even when compressed.
    #[error("the result has {0} bytes compressed; at most {PACKED_MAX} fit on the bus")]
    TooLarge(usize),
    /// Says it is larger than the reader takes.
    #[error("the body says it has {0} bytes, over the limit of {1}")]
    OverLimit(usize, usize),
    /// The compressed bytes are damaged, or are not as long as they say.
    #[error("the body cannot be decompressed")]
    Damaged(#[source] std::io::Error),
}

impl Body {
    /// Packs the JSON of a result.
    pub fn pack(json: Vec<u8>) -> Result<Self, Error> {
        let size = u32::try_from(json.len()).map_err(|_| Error::TooLarge(json.len()))?;
        let (encoding, bytes) = if json.len() < COMPRESS_FROM {
            (Encoding::Identity, json)
        } else {
            (Encoding::Zstd, zstd::bulk::compress(&json, LEVEL).map_err(Error::Damaged)?)
        };
        if bytes.len() > PACKED_MAX {
            Err(Error::TooLarge(bytes.len()))
        } else {
            Ok(Self { encoding, size, bytes })
        }
    }

    /// The JSON, where it has at most `limit` bytes.
    pub fn unpack(self, limit: usize) -> Result<Vec<u8>, Error> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if size > limit {
            return Err(Error::OverLimit(size, limit));
        }
        match self.encoding {
            Encoding::Identity => Ok(self.bytes),
            // The size is the bound of what is written, so a frame that lies about itself cannot grow.
            Encoding::Zstd => zstd::bulk::decompress(&self.bytes, size).map_err(Error::Damaged),
        }
    }

    /// Bytes as they travel.
    pub fn packed_len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_bodies_travel_as_they_are() {
        let body = Body::pack(b"{}".to_vec()).unwrap();
        assert_eq!(body.encoding, Encoding::Identity);
        assert_eq!(body.unpack(2).unwrap(), b"{}");
    }

    #[test]
    fn large_bodies_are_compressed_and_come_back() {
        let json = br#"{"metric":{"gpu":"0"}}"#.repeat(1000);
        let body = Body::pack(json.clone()).unwrap();
        assert!(body.packed_len() < json.len() / 10);
        assert_eq!(body.unpack(json.len()).unwrap(), json);
    }

    #[test]
    fn a_body_over_the_limits_is_refused() {
        let noise: Vec<u8> =
            (0..400_000u32).flat_map(|n| blake3::hash(&n.to_le_bytes()).as_bytes()[..4].to_vec()).collect();
        assert!(matches!(Body::pack(noise), Err(Error::TooLarge(_))));
        let body = Body::pack(vec![b' '; 10_000]).unwrap();
        assert!(matches!(body.unpack(9_999), Err(Error::OverLimit(10_000, 9_999))));
    }

    #[test]
    fn a_frame_that_lies_about_its_size_is_refused() {
        let mut body = Body::pack(vec![b' '; 10_000]).unwrap();
        body.size = 5_000;
        assert!(matches!(body.unpack(10_000), Err(Error::Damaged(_))));
    }
}
