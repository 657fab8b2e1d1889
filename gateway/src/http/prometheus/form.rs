//! What a call says: the parameters in its form and its URL.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

use super::failure::Failure;

/// The largest form, in bytes: a query of 1000 characters and a hundred namespaces fit many times over.
pub(super) const FORM_MAX: usize = 64 * 1024;

/// How long a client may take to send it.
const FORM_TIME: Duration = Duration::from_secs(10);

/// Parameters in the order in which Prometheus looks at them: those of the form before those of the URL (Go's `http.Request.Form`).
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads both. A body counts where it is a form, and where the method has one.
    pub(super) async fn read(parts: &Parts, body: Body) -> Result<Self, Failure> {
        let form = if parts.method == Method::POST && is_form(&parts.headers) {
            let read = tokio::time::timeout(FORM_TIME, to_bytes(body, FORM_MAX));
            read.await.map_err(|_| Failure::slow())?.map_err(|_| Failure::large(FORM_MAX))?
        } else {
            axum::body::Bytes::new()
        };
        Ok(Self::of(&form, parts.uri.query().unwrap_or_default()))
    }

    /// The parameters of these two.
    pub(super) fn of(form: &[u8], query_string: &str) -> Self {
        let pairs = [form, query_string.as_bytes()].into_iter().flat_map(url::form_urlencoded::parse);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// The first value of a parameter; nothing where it is empty, which says the same.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn the_form_comes_before_the_url() {
        let form = Form::of(b"query=a&match%5B%5D=1&empty=", "query=b&match[]=2&x=%2B+");
        assert_eq!(form.first("query"), Some("a"));
        assert_eq!(form.all("match[]").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((form.first("x"), form.first("empty"), form.first("y")), (Some("+ "), None, None));
    }

    #[tokio::test]
    async fn a_body_counts_where_it_is_a_form() {
        let read = async |method: Method, kind: &str, body: String| {
            let request = Request::builder().method(method).uri("/?query=url").header("content-type", kind);
            let (parts, body) = request.body(Body::from(body)).unwrap().into_parts();
            Form::read(&parts, body).await.map(|form| form.first("query").map(str::to_owned))
        };
        let kind = "application/x-www-form-urlencoded; charset=UTF-8";
        let query = || "query=form".to_owned();
        assert_eq!(read(Method::POST, kind, query()).await.unwrap().as_deref(), Some("form"));
        assert_eq!(read(Method::GET, kind, query()).await.unwrap().as_deref(), Some("url"));
        assert_eq!(read(Method::POST, "application/json", query()).await.unwrap().as_deref(), Some("url"));
        assert!(read(Method::POST, kind, "x".repeat(FORM_MAX)).await.is_ok());
        assert!(read(Method::POST, kind, "x".repeat(FORM_MAX + 1)).await.is_err());
    }
}
