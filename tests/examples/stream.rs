//! Prints the temperature of each GPU, live.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "an example is for other projects")]

use futures_util::StreamExt;
use serde_json::Value;
use sse_stream::SseByteStream;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // This is for reqwest without a cryptography of its own, as the tests have it. With its default features leave it out.
    rustls::crypto::ring::default_provider().install_default().ok();
    let base = std::env::args().nth(1).unwrap_or("http://127.0.0.1:8080".to_owned());
    let query = [("query", "avg by (gpu) (DCGM_FI_DEV_GPU_TEMP)"), ("interval", "5")];
    let request = reqwest::Client::new().get(format!("{base}/api/v1/metrics/stream")).query(&query);
    let mut events = SseByteStream::new(request.send().await?.error_for_status()?.bytes_stream());
    while let Some(event) = events.next().await {
        let event = event?;
        if event.event.as_deref() == Some("metric-update") {
            let update: Value = serde_json::from_str(&event.data.unwrap_or_default())?;
            for series in update["data"]["result"].as_array().into_iter().flatten() {
                println!("{} GPU {} {} °C", update["tick"], series["metric"]["gpu"], series["value"][1]);
            }
        }
    }
    Ok(())
}
