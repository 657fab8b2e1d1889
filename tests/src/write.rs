//! Prometheus remote write 1.0, by hand: what the stand-in for a scrape of a native histogram needs, and no more.
//!
//! Field numbers are those of `prometheus/prompb/remote.proto` and `types.proto`.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Label {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Sample {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, tag = "1")]
    pub(crate) count_int: u64,
    #[prost(double, tag = "3")]
    pub(crate) sum: f64,
    #[prost(sint32, tag = "4")]
    pub(crate) schema: i32,
    #[prost(double, tag = "5")]
    pub(crate) zero_threshold: f64,
    #[prost(uint64, tag = "6")]
    pub(crate) zero_count_int: u64,
    #[prost(message, repeated, tag = "11")]
    pub(crate) positive_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "12")]
    pub(crate) positive_deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    pub(crate) timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BucketSpan {
    #[prost(sint32, tag = "1")]
    pub(crate) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(crate) length: u32,
}

/// A series by its name and further labels. Prometheus wants labels sorted by name.
pub(crate) fn labels(name: &str, further: &[(&str, &str)]) -> Vec<Label> {
    let mut labels: Vec<_> = [("__name__", name)].iter().chain(further).copied().collect();
    labels.sort_unstable();
    labels.into_iter().map(|(name, value)| Label { name: name.to_owned(), value: value.to_owned() }).collect()
}

/// A histogram of three buckets, so that there is something to see.
pub(crate) fn histogram(timestamp: i64, observations: u64) -> Histogram {
    let per_bucket = i64::try_from(observations).unwrap_or(i64::MAX);
    Histogram {
        count_int: 3 * observations + 1,
        sum: 7.5,
        schema: 1,
        zero_threshold: 0.001,
        zero_count_int: 1,
        positive_spans: vec![BucketSpan { offset: 0, length: 2 }, BucketSpan { offset: 1, length: 1 }],
        positive_deltas: vec![per_bucket, 0, 0],
        timestamp,
    }
}

/// The body of a request: one Snappy block.
pub(crate) fn encode(request: &WriteRequest) -> Vec<u8> {
    snap::raw::Encoder::new()
        .compress_vec(&request.encode_to_vec())
        .expect("a small request can be compressed")
}
