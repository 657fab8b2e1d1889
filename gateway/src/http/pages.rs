//! Pages for people: the dashboard's files from a directory, or the plain page that is built in.

use std::path::{Path, PathBuf};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use promcast_proto::problem::Type;
use tower::ServiceExt;
use tower_http::services::ServeDir;

use super::problem::Problem;
use super::{STREAM, method_not_allowed};

/// What is at the paths that are none of the API's.
#[derive(Clone, Debug)]
pub struct Pages(Source);

#[derive(Clone, Debug)]
enum Source {
    Plain,
    Directory(ServeDir),
}

/// The directory has no page to show.
#[derive(Debug, thiserror::Error)]
#[error(
    "`http.pages` is {directory}, and there is no file index.html in it ({cause}): build the dashboard, or leave the option out"
)]
pub struct Missing {
    directory: PathBuf,
    cause: std::io::Error,
}

/// The page at `/` where there is no dashboard.
const PLAIN: &str = include_str!("../../../web/plain/index.html");

/// What the plain page needs: its script and style stand in it.
const PLAIN_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// What the dashboard needs: nothing stands in the page, and nothing comes from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// Files under this path have a hash of their content in their name.
const ASSETS: &str = "/assets/";

impl Pages {
    /// Of this directory, or the plain page. The directory must have an `index.html` that can be read.
    pub fn new(directory: Option<&Path>) -> Result<Self, Missing> {
        let Some(directory) = directory else { return Ok(Self(Source::Plain)) };
        std::fs::File::open(directory.join("index.html"))
            .map_err(|cause| Missing { directory: directory.to_owned(), cause })?;
        let files = ServeDir::new(directory).redirect_to_trailing_slash(false);
        Ok(Self(Source::Directory(files)))
    }

    pub(super) async fn answer(&self, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            // Only the page itself is known to be there; of other paths none is promised to anybody.
            return if path == "/" { refuse_method(request).await } else { nothing_at(&path) };
        }
        match &self.0 {
            Source::Plain if path == "/" => (headers("no-cache", PLAIN_POLICY), Html(PLAIN)).into_response(),
            Source::Plain => nothing_at(&path),
            Source::Directory(files) => from(files, &path, request).await,
        }
    }
}

async fn from(files: &ServeDir, path: &str, request: Request) -> Response {
    let Ok(mut response) = files.clone().oneshot(request).await;
    if response.status() == StatusCode::NOT_FOUND {
        return nothing_at(path);
    }
    let cache = if path.starts_with(ASSETS) { "public, max-age=31536000, immutable" } else { "no-cache" };
    response.headers_mut().extend(headers(cache, POLICY));
    response.map(axum::body::Body::new)
}

fn headers(cache: &'static str, policy: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ])
}

async fn refuse_method(request: Request) -> Response {
    ([(header::ALLOW, "GET, HEAD")], method_not_allowed(request).await).into_response()
}

fn nothing_at(path: &str) -> Response {
    let path = path.chars().take(100).collect::<String>();
    Problem::new(Type::NotFound, format!("there is nothing at {path}; streams are at {STREAM}"))
        .into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt;

    use super::*;

    fn dashboard() -> (tempfile::TempDir, Pages) {
        let outer = tempfile::tempdir().unwrap();
        let directory = outer.path().join("dist");
        std::fs::create_dir_all(directory.join("assets")).unwrap();
        std::fs::write(directory.join("index.html"), "<title>the dashboard</title>").unwrap();
        std::fs::write(directory.join("assets/main-1234.js"), "export {}").unwrap();
        std::fs::write(outer.path().join("secret"), "the key").unwrap();
        let pages = Pages::new(Some(&directory)).unwrap();
        (outer, pages)
    }

    async fn ask(pages: &Pages, method: Method, path: &str, condition: Option<HeaderValue>) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(etag) = condition {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        pages.answer(request.body(Body::empty()).unwrap()).await
    }

    async fn get(pages: &Pages, path: &str) -> (StatusCode, HeaderMap, String) {
        let response = ask(pages, Method::GET, path, None).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_index_is_asked_for_anew_and_what_it_names_is_kept() {
        let (_outer, pages) = dashboard();
        let (status, headers, body) = get(&pages, "/").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "<title>the dashboard</title>"));
        assert_eq!(headers[header::CONTENT_TYPE], "text/html");
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(!headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("unsafe"));
        let (status, headers, body) = get(&pages, "/assets/main-1234.js").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "export {}"));
        assert_eq!(headers[header::CONTENT_TYPE], "text/javascript");
        assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
    }

    #[tokio::test]
    async fn a_file_that_has_not_changed_is_not_sent_again() {
        let (_outer, pages) = dashboard();
        let (_, headers, _) = get(&pages, "/").await;
        assert!(headers.contains_key(header::LAST_MODIFIED));
        let again = ask(&pages, Method::GET, "/", headers.get(header::ETAG).cloned()).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers()[header::CACHE_CONTROL], "no-cache");
    }

    #[tokio::test]
    async fn what_is_not_a_file_of_the_directory_is_a_problem_document() {
        let (_outer, pages) = dashboard();
        let paths = [
            "/assets",
            "/assets/",
            "/nothing",
            "/../secret",
            "/%2e%2e/secret",
            "/assets/..%2f..%2f..%2fsecret",
        ];
        for path in paths {
            let (status, headers, body) = get(&pages, path).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json", "{path}");
            assert!(!body.contains("the key") && !body.contains("main-1234"), "{path}: {body}");
        }
    }

    #[tokio::test]
    async fn nothing_can_be_written() {
        let (_outer, pages) = dashboard();
        let refused = ask(&pages, Method::POST, "/", None).await;
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()[header::ALLOW], "GET, HEAD");
        assert_eq!(
            ask(&pages, Method::PUT, "/assets/main-1234.js", None).await.status(),
            StatusCode::NOT_FOUND
        );
    }

    #[tokio::test]
    async fn without_a_directory_there_is_the_plain_page_alone() {
        let pages = Pages::new(None).unwrap();
        let (status, headers, body) = get(&pages, "/").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, PLAIN));
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(get(&pages, "/index.html").await.0, StatusCode::NOT_FOUND);
    }

    #[test]
    fn a_directory_without_an_index_is_a_mistake_in_the_configuration() {
        let empty = tempfile::tempdir().unwrap();
        let told = Pages::new(Some(empty.path())).unwrap_err().to_string();
        assert!(told.starts_with("`http.pages` is "), "{told}");
    }
}
