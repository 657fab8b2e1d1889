//! What is published: the JSON of an update, as a poller renders it, with a mark in it and values that do not compress well.

use promcast_proto::tick::Tick;
use promcast_proto::topic::Key;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::mark::{LENGTH, Mark};

/// The name of the events.
pub const NAME: &str = "metric-update";

/// A body with a place for a mark. The same bytes for every server.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    mark: usize,
}

impl Template {
    /// A vector of series that has exactly so many bytes, which are the same each time.
    ///
    /// # Panics
    /// Where they are too few for one series.
    pub fn new(size: usize) -> Self {
        let mut dice = StdRng::seed_from_u64(size as u64);
        let mut text =
            String::from(r#"{"topic":"c5uave30lhlt6q138i7i9djv28","tick":1764000003007,"took_ms":3,"#);
        text.push_str(r#""data":{"resultType":"vector","result":[{"metric":{"mark":""#);
        let mark = text.len();
        text.extend(std::iter::repeat_n('0', LENGTH));
        text.push_str(r#""},"value":[1764000003.007,"1"]}"#);
        let end = "]}}";
        loop {
            let more = series(&mut dice);
            if text.len() + more.len() + end.len() > size {
                break;
            }
            text.push_str(&more);
        }
        let missing = size.checked_sub(text.len() + end.len()).expect("a size with room for a series");
        // White space is allowed there, and few bytes.
        text.extend(std::iter::repeat_n(' ', missing));
        text.push_str(end);
        Self { bytes: text.into_bytes(), mark }
    }

    /// Bytes of a body.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes behind the mark.
    pub fn after_mark(&self) -> usize {
        self.bytes.len() - self.mark - LENGTH
    }

    /// The body with this mark.
    pub fn body(&self, mark: Mark) -> Vec<u8> {
        let mut body = self.bytes.clone();
        if let Some(place) = body.get_mut(self.mark..self.mark + LENGTH) {
            place.copy_from_slice(&mark.write());
        }
        body
    }
}

fn series(dice: &mut StdRng) -> String {
    let (id, value): (u128, u64) = (dice.random(), dice.random());
    format!(
        r#",{{"metric":{{"UUID":"GPU-{id:032x}","gpu":"{}"}},"value":[1764000003.007,"{value}"]}}"#,
        id % 8
    )
}

/// An update of 64 GPUs as dcgm-exporter labels them, of which about a third changed since the one before.
#[derive(Debug)]
pub struct Dcgm {
    dice: StdRng,
    values: Vec<u32>,
}

impl Default for Dcgm {
    fn default() -> Self {
        let mut dice = StdRng::seed_from_u64(64);
        let values = (0..64).map(|_| dice.random_range(0..100)).collect();
        Self { dice, values }
    }
}

impl Dcgm {
    /// How many series change from one update to the next.
    const CHANGING: usize = 22;

    /// The next update.
    pub fn next(&mut self, key: Key, tick: Tick) -> Vec<u8> {
        for _ in 0..Self::CHANGING {
            let which = self.dice.random_range(0..self.values.len());
            if let Some(value) = self.values.get_mut(which) {
                *value = self.dice.random_range(0..100);
            }
        }
        let series = self.values.iter().enumerate().map(|(gpu, value)| {
            let (node, gpu) = (gpu / 8, gpu % 8);
            format!(
                r#"{{"metric":{{"__name__":"DCGM_FI_DEV_GPU_UTIL","DCGM_FI_DRIVER_VERSION":"550.90.07","Hostname":"gpu-node-{node:02}","UUID":"GPU-6f1c{node:04x}-9b1d-5c7a-8e21-0c4d2a7f{gpu:04x}","container":"trainer","device":"nvidia{gpu}","gpu":"{gpu}","instance":"10.0.{node}.7:9400","job":"dcgm-exporter","modelName":"NVIDIA H100 80GB HBM3","namespace":"gpu-operator","pod":"train-{node}-worker-{gpu}"}},"value":[{},"{value}"]}}"#,
                tick.as_seconds()
            )
        });
        let series: Vec<_> = series.collect();
        format!(
            r#"{{"topic":"{key}","tick":{tick},"took_ms":4,"data":{{"resultType":"vector","result":[{}]}}}}"#,
            series.join(",")
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use promcast_proto::topic::{Datasource, Topic};
    use serde_json::Value;

    use super::*;
    use crate::bench::mark::Scanner;

    #[test]
    fn a_body_is_json_of_the_size_that_was_asked_for_and_carries_its_mark() {
        for size in [512, 2 * 1024, 64 * 1024] {
            let template = Template::new(size);
            let mark = Mark { number: 7, at: 99 };
            let body = template.body(mark);
            assert_eq!(body.len(), size);
            serde_json::from_slice::<Value>(&body).unwrap();
            let mut found = Vec::new();
            Scanner::new(template.after_mark()).read(&body, |mark| found.push(mark));
            assert_eq!(found, [mark]);
            assert!(!body[..template.mark].contains(&b'@') && !body.ends_with(b"@"));
        }
    }

    #[test]
    fn an_update_of_gpus_is_json_with_64_series() {
        let key = Topic::new(Datasource::default(), "up".to_owned()).key();
        let mut dcgm = Dcgm::default();
        let (one, two) = (dcgm.next(key, Tick::from_millis(5)), dcgm.next(key, Tick::from_millis(6)));
        let parsed: Value = serde_json::from_slice(&one).unwrap();
        assert_eq!(parsed["data"]["result"].as_array().map(Vec::len), Some(64));
        assert_ne!(one, two);
    }
}
