//! Whether an upstream restricts lookups of labels. One from before `match[]` counted there (Prometheus before 2.24) passes over it
//! and answers with what belongs to everybody.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use promcast_proto::topic::Datasource;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Error, Read, Reads};

/// How long a proof counts: an upstream is not taken back to another release more often.
const PROVEN: Duration = Duration::from_secs(10 * 60);

/// The upstreams that have proved it.
pub(super) type Proven = Cache<Datasource, ()>;

/// None yet.
pub(super) fn none() -> Proven {
    Cache::builder().time_to_live(PROVEN).build()
}

#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

impl Reads {
    /// Asks for the metrics of a selector that selects none. Where there are some, the selector was passed over.
    pub(super) async fn prove(&self, read: &Read) -> Result<(), Arc<Error>> {
        let probe = read.probe();
        let proof = async {
            let answer = self.ask(&probe).await?;
            let answered: Answered<'_> = serde_json::from_slice(&answer).map_err(Error::Unreadable)?;
            if answered.data.is_empty() { Ok(()) } else { Err(Error::Unrestricted) }
        };
        self.proven.try_get_with(read.datasource().clone(), proof).await
    }
}
