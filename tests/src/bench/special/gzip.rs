//! What an update of 64 series weighs on the wire: as it is, and with gzip.

use std::time::Duration;

use promcast_proto::topic::Datasource;
use tokio::time::sleep;

use crate::bench::client::{Client, Way};
use crate::bench::options::Options;
use crate::bench::payload::{Dcgm, Template};
use crate::bench::publish::update;
use crate::bench::sample::{Cell, Sample, Value};
use crate::bench::server::{Kind, Server, Wanted, Workshop};
use crate::bench::session::text;
use crate::wait::PATIENCE;

/// Updates that come first, for a compressor to know the series; and those that are weighed.
const UPDATES: [u32; 2] = [5, 60];

/// From one update to the next: each is sent by itself, and not joined with another.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) async fn measure(round: u32, workshop: &mut Workshop, _: &Options) -> Result<Vec<Sample>, String> {
    let template = [Template::new(2 * 1024)];
    let server =
        Server::start(Kind::Gateway, workshop, Wanted { templates: &template, bounded: true }).await?;
    let bus = workshop.bus().await;
    let feed = server.feeds.first().ok_or("a gateway without a topic")?;
    let plain = server.ways.first().ok_or("a server without streams")?;
    let mut client = Client::new(2).map_err(text)?;
    client.open(plain, 1).map_err(text)?;
    client.open(&zipped(plain), 1).map_err(text)?;
    let (mut dcgm, mut number, mut weights) = (Dcgm::default(), 0, [0; 2]);
    for count in UPDATES {
        let before = [client.bytes(0), client.bytes(1)];
        for _ in 0..count {
            let tick = feed.tick(number);
            number += 1;
            let update =
                update(feed.key(), tick, dcgm.next(feed.key(), tick)).ok_or("an update too large")?;
            bus.publish(&Datasource::default(), &update).await.map_err(text)?;
            sleep(PAUSE).await;
            client.poll(Duration::ZERO).map_err(text)?;
        }
        all_is_read(&mut client).await?;
        weights = [client.bytes(0) - before[0], client.bytes(1) - before[1]];
    }
    let is_gzip = client.head(1).contains("content-encoding: gzip");
    drop(client);
    server.stop().await;
    let [identity, gzip] = weights.map(|bytes| bytes as f64 / f64::from(UPDATES[1]));
    let mut sample = Sample::new(Cell::Gzip, Kind::Gateway, 1, 0, round).with(Value::BytesIdentity, identity);
    if is_gzip {
        sample = sample.with(Value::BytesGzip, gzip);
    } else {
        sample.notes.push("the gateway does not answer with gzip".to_owned());
    }
    Ok(vec![sample])
}

/// The same stream for a client that takes gzip.
fn zipped(plain: &Way) -> Way {
    let mut way = Way { channel: 1, ..plain.clone() };
    way.request.truncate(way.request.len().saturating_sub(2));
    way.request.extend_from_slice(b"Accept-Encoding: gzip\r\n\r\n");
    way
}

/// Returns when nothing more comes.
async fn all_is_read(client: &mut Client) -> Result<(), String> {
    let mut quiet = 0;
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        let before = client.bytes(0) + client.bytes(1);
        sleep(PAUSE).await;
        client.poll(Duration::ZERO).map_err(text)?;
        quiet = if before == client.bytes(0) + client.bytes(1) { quiet + 1 } else { 0 };
        if quiet == 10 {
            return Ok(());
        }
    }
    Err("the stream does not come to rest".to_owned())
}
