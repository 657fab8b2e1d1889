//! Which content coding a client takes (RFC 9110, 12.5.3).

use axum::http::{HeaderMap, header};

use crate::sse::Coding;

/// What `Accept-Encoding` says of one coding.
#[derive(Clone, Copy, Debug, Default)]
struct Weights {
    gzip: Option<f32>,
    identity: Option<f32>,
    any: Option<f32>,
}

/// The coding of a stream for a client with these headers: gzip, unless the client does not take it or likes none better.
pub(super) fn of(headers: &HeaderMap) -> Coding {
    let mut weights = Weights::default();
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    for listed in values.flat_map(|value| value.split(',')) {
        let mut parts = listed.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        match name.as_str() {
            "gzip" | "x-gzip" => weights.gzip = Some(weight),
            "identity" => weights.identity = Some(weight),
            "*" => weights.any = Some(weight),
            _ => {}
        }
    }
    let gzip = weights.gzip.or(weights.any).unwrap_or(0.0);
    if gzip > 0.0 && gzip >= weights.identity.unwrap_or(0.0) { Coding::Gzip } else { Coding::Identity }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coding(accepted: &str) -> Coding {
        of(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepted.parse().unwrap())]))
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for accepted in [
            "gzip, deflate, br, zstd",
            "br;q=1.0, GZIP;q=0.8, *;q=0.1",
            "x-gzip",
            "*",
            "gzip;q=0.5, identity;q=0.5",
        ] {
            assert_eq!(coding(accepted), Coding::Gzip, "{accepted}");
        }
        for accepted in
            ["", "br", "identity", "gzip;q=0", "gzip; q=0.000, *", "identity, gzip;q=0.9", "gzip;q=x"]
        {
            assert_eq!(coding(accepted), Coding::Identity, "{accepted}");
        }
        assert_eq!(of(&HeaderMap::new()), Coding::Identity);
    }
}
