//! What follows the head of a response that the HTTP library writes.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};

use crate::sse;

/// A whole answer, or a stream: of that one each event is asked for anew, and nothing stands between it and the library.
#[expect(
    clippy::large_enum_variant,
    reason = "a stream's memory is looked at for each event: it stands where the library's own stands"
)]
pub(super) enum Content {
    /// A whole answer.
    Whole(Body),
    /// A stream.
    Stream(sse::Body),
}

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx),
            Self::Stream(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}
