//! What is not about many readers of one topic: a small topic beside a large one, clients that stop reading, HTTP/2, gzip.

use super::options::Options;
use super::sample::{Cell, Sample};
use super::server::{Kind, Workshop};

mod gzip;
mod head_of_line;
mod http2;
mod stuck;

/// Whether this can be measured of that server.
pub(super) fn has(cell: Cell, kind: Kind) -> bool {
    match cell {
        // Pushpin's test route has one channel.
        Cell::HeadOfLine | Cell::Stuck => kind != Kind::Pushpin,
        Cell::Http2 | Cell::Gzip => kind == Kind::Gateway,
        Cell::Open | Cell::Paced | Cell::Saturated | Cell::Backlog => false,
    }
}

/// Measures it.
pub(super) async fn measure(
    cell: Cell,
    kind: Kind,
    round: u32,
    workshop: &mut Workshop,
    options: &Options,
) -> Result<Vec<Sample>, String> {
    match cell {
        Cell::HeadOfLine => head_of_line::measure(kind, round, workshop, options).await,
        Cell::Stuck => stuck::measure(kind, round, workshop, options).await,
        Cell::Http2 => http2::measure(round, workshop, options).await,
        Cell::Gzip => gzip::measure(round, workshop, options).await,
        Cell::Open | Cell::Paced | Cell::Saturated | Cell::Backlog => Ok(Vec::new()),
    }
}
