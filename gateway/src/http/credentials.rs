//! What a request shows of who sent it: a bearer token, a cookie, or a ticket.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use promcast_proto::problem::Type;

use super::problem::Problem;
use crate::auth::{Denied, Reason, Token};

/// Whether the request was made by a page of this site (W3C Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where a token may be besides the `Authorization` header.
#[derive(Clone, Debug, Default)]
pub struct Cookie {
    /// The name of the cookie, where one is configured.
    pub name: Option<String>,
    /// Origins besides the gateway's own whose pages it counts from.
    pub origins: Vec<HeaderValue>,
}

/// What was shown.
#[derive(Debug)]
pub(super) enum Shown {
    /// Nothing.
    Nothing,
    /// A token.
    Token(Token),
    /// A ticket.
    Ticket(String),
}

impl Cookie {
    /// What a request shows. The header is stronger than the cookie, and that than the ticket (RFC 6750 has one way each).
    pub(super) fn shown(&self, headers: &HeaderMap, ticket: Option<String>) -> Result<Shown, Problem> {
        let mut given = headers.get_all(header::AUTHORIZATION).iter();
        if let Some(value) = given.next() {
            let token = given.next().is_none().then(|| bearer(value)).flatten();
            return token.map(Shown::Token).ok_or_else(malformed);
        }
        if let Some(text) = self.name.as_deref().and_then(|name| cookie(headers, name)) {
            self.check_site(headers)?;
            return Token::new(text).map(Shown::Token).map_err(|_| malformed());
        }
        Ok(ticket.map_or(Shown::Nothing, Shown::Ticket))
    }

    /// A browser sends cookies along whichever page made it ask, so the page has to be one that may.
    fn check_site(&self, headers: &HeaderMap) -> Result<(), Problem> {
        // The browser's own word on it, which no page can write. HTTP/2 has no Host header to compare an origin with.
        let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
        let ours = match headers.get(header::ORIGIN) {
            Some(_) if site == Some(b"same-origin") => true,
            Some(origin) => self.origins.contains(origin) || is_own(origin, headers),
            // Left out for a page of the same origin, and by what is no browser.
            None => site.is_none_or(|site| [&b"same-origin"[..], b"none"].contains(&site)),
        };
        let detail =
            "a cookie counts from pages of the gateway's own origin and of `http.allowed_origins` only";
        if ours { Ok(()) } else { Err(Problem::new(Type::Forbidden, detail)) }
    }
}

fn malformed() -> Problem {
    Denied::Refused(Reason::Malformed).into()
}

/// The token of `Bearer <token>`; the scheme in any case (RFC 9110, 11.1).
fn bearer(value: &HeaderValue) -> Option<Token> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::new(token.trim()).ok())?
}

/// The value of a cookie (RFC 6265, 5.4).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

/// Whether an origin names the host that was asked. Behind a proxy the scheme is not known here, and adds nothing.
fn is_own(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    authority.is_some() && authority == host
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    }

    fn rule() -> Cookie {
        let origins = vec![HeaderValue::from_static("https://dash.example.com")];
        Cookie { name: Some("session".to_owned()), origins }
    }

    fn token(pairs: &[(&'static str, &'static str)]) -> Option<String> {
        match rule().shown(&headers(pairs), None) {
            Ok(Shown::Token(token)) => Some(token.expose().to_owned()),
            Ok(Shown::Nothing | Shown::Ticket(_)) | Err(_) => None,
        }
    }

    #[test]
    fn a_token_is_in_the_header_or_else_in_the_cookie() {
        assert_eq!(token(&[("authorization", "Bearer abc")]).as_deref(), Some("abc"));
        assert_eq!(token(&[("authorization", "bearer  abc")]).as_deref(), Some("abc"));
        assert_eq!(token(&[("cookie", "a=b; session=abc")]).as_deref(), Some("abc"));
        let both = [("cookie", "session=abc"), ("authorization", "Bearer def")];
        assert_eq!(token(&both).as_deref(), Some("def"));
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_passed_over() {
        for value in ["Basic YTpi", "Bearer", "Bearer a b", "abc", "Bearer "] {
            let shown = rule().shown(&headers(&[("authorization", value), ("cookie", "session=abc")]), None);
            assert!(shown.is_err(), "{value} was taken as {shown:?}");
        }
        let mut twice = headers(&[("authorization", "Bearer abc")]);
        twice.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer def"));
        assert!(rule().shown(&twice, None).is_err());
    }

    #[test]
    fn a_cookie_counts_from_our_pages_only() {
        let with =
            |name, value| token(&[("cookie", "session=abc"), ("host", "gw.example.com"), (name, value)]);
        for (name, value) in [
            ("origin", "https://dash.example.com"),
            ("origin", "https://gw.example.com"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
        ] {
            assert!(with(name, value).is_some(), "{name}: {value}");
        }
        for (name, value) in [
            ("origin", "https://evil.example.com"),
            ("origin", "null"),
            ("origin", "https://gw.example.com.evil.example.com"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(with(name, value).is_none(), "{name}: {value}");
        }
    }

    #[test]
    fn over_http_2_the_browser_says_that_it_is_our_page() {
        let origin = ("origin", "https://gw.example.com");
        let asked = |site| token(&[("cookie", "session=abc"), origin, ("sec-fetch-site", site)]);
        assert!(asked("same-origin").is_some());
        assert!(asked("same-site").is_none() && asked("cross-site").is_none());
    }

    #[test]
    fn without_a_configured_name_no_cookie_counts() {
        let shown = Cookie::default().shown(&headers(&[("cookie", "session=abc")]), Some("t".to_owned()));
        assert!(matches!(shown, Ok(Shown::Ticket(_))));
    }
}
