//! stub
use crate::sse::Span;
use promcast_proto::code::ErrorCode;
use promcast_proto::tick::{Interval, Tick};
use promcast_proto::topic::Topic;
use promcast_proto::update::Failure;
use std::sync::Arc;
/// stub
#[derive(Clone, Debug, Default)]
pub struct Backfill;
impl Backfill {
    /// stub
    pub fn fetch(
        &self,
        _: &Topic,
        _: Interval,
        _: Tick,
        _: Tick,
    ) -> impl Future<Output = Result<Arc<Span>, Failure>> + Send + 'static {
        std::future::ready(Err(Failure { code: ErrorCode::Internal, message: String::new() }))
    }
}
