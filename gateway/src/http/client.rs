//! The client's address: the peer's, or what a trusted proxy says of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;

/// The other end of a connection, put into each request by the listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The address of the client itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client(pub(super) IpAddr);

/// The proxies whose `X-Forwarded-For` and `Forwarded` headers count. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Trusts proxies in these networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self(networks.into_iter().collect())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Walks from the peer towards the client for as long as the way is trusted. What an untrusted party wrote into
    /// the header stands further left and is never reached.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let mut hops = hops(headers);
        while self.trusts(client) {
            match hops.pop() {
                Some(Some(next)) => client = next.to_canonical(),
                Some(None) | None => break,
            }
        }
        client
    }
}

/// What the headers say, the nearest hop last. `X-Forwarded-For` where it is there, else RFC 7239's `Forwarded`.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let values = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let listed: Vec<_> = values("x-forwarded-for").flat_map(|value| value.split(',')).map(address).collect();
    if !listed.is_empty() {
        return listed;
    }
    let of_element = |element: &str| {
        element.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case("for").then(|| address(value))?
        })
    };
    values("forwarded").flat_map(|value| value.split(',')).map(of_element).collect()
}

/// An address with or without port, brackets and quotes.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(inner, _)| inner);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// Puts the client's address into the request.
pub(super) async fn identify(
    State(proxies): State<TrustedProxies>,
    mut request: Request,
    next: Next,
) -> Response {
    // Only a request that did not come through our listener has no peer.
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
    let client = proxies.client(peer, request.headers());
    request.extensions_mut().insert(Client(client));
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, header: &'static str, value: &str) -> String {
        let proxies = TrustedProxies::new(trusted.iter().map(|network| network.parse().unwrap()));
        let mut headers = HeaderMap::new();
        headers.insert(header, value.parse().unwrap());
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn nobody_is_believed_by_default() {
        assert_eq!(client(&[], "192.0.2.9", "x-forwarded-for", "198.51.100.1"), "192.0.2.9");
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_what_a_client_wrote_is_not() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(client(&trusted, "10.1.1.1", "x-forwarded-for", "6.6.6.6, 198.51.100.1"), "198.51.100.1");
        assert_eq!(
            client(&trusted, "10.1.1.1", "x-forwarded-for", "6.6.6.6, 198.51.100.1, 10.2.2.2"),
            "198.51.100.1"
        );
        assert_eq!(client(&trusted, "192.0.2.9", "x-forwarded-for", "198.51.100.1"), "192.0.2.9");
        assert_eq!(client(&trusted, "10.1.1.1", "x-forwarded-for", "nonsense"), "10.1.1.1");
    }

    #[test]
    fn forwarded_is_understood() {
        let trusted = ["10.0.0.0/8"];
        let value = "for=6.6.6.6, for=\"[2001:db8::1]:4711\";proto=https";
        assert_eq!(client(&trusted, "10.1.1.1", "forwarded", value), "2001:db8::1");
        assert_eq!(client(&trusted, "::ffff:10.1.1.1", "forwarded", "For=198.51.100.1:80"), "198.51.100.1");
    }
}
