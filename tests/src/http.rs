//! Plain HTTP: one client for all, and problem documents.

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::wait::{PATIENCE, within};

/// A client with a pool of its own. HTTP/1.1 unless the server offers more, no proxy, no overall timeout: streams are long.
///
/// # Panics
/// Where the client cannot be built.
pub fn client() -> reqwest::Client {
    // Only the first call of a process installs it; later ones find it there.
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().expect("a client")
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A header, or the empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// Where it is not JSON.
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.body) {
            Ok(json) => json,
            Err(error) => panic!("{error} in {:?} (status {})", self.body, self.status),
        }
    }
}

/// Sends `request` and reads the answer to its end.
///
/// # Panics
/// Where there is no answer within a while.
pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let answered = async {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.text().await.expect("a body") }
    };
    within("an answer", PATIENCE, answered).await
}

/// GETs a URL.
pub async fn get(url: &str) -> Answer {
    send(client().get(url)).await
}
