//! Starts the gateway as it is released, over NATS, with limits that let the benchmark in.

use std::net::SocketAddrV4;

use super::{Kind, Server, Wanted, Workshop, request};
use crate::bench::client::Way;
use crate::bench::publish::{Feed, INTERVAL, OverBus};
use crate::programs::Gateway;
use crate::stream::PATH;

/// Events that are kept of a topic: more than ever are outstanding, and few enough to be no work.
const KEPT: usize = 256;

pub(super) async fn start(workshop: &mut Workshop, wanted: Wanted<'_>) -> Server {
    let bus = workshop.bus().await;
    let url = workshop.nats_url().await;
    let largest = wanted.templates.iter().map(super::Template::size).max().unwrap_or_default();
    let history = (KEPT * largest).to_string();
    let many = "1000000";
    let mut flags = vec!["--bus-url", &url, "--datasources", "default", "--stream-max-connections", many];
    flags.extend(["--stream-open-rate", many, "--stream-open-burst", many]);
    flags.extend(["--stream-history-bytes", &history, "--stream-write-stall", "1h"]);
    if !wanted.bounded {
        flags.extend(["--stream-lag", many]);
    }
    workshop.cores.enter_server();
    let gateway = Gateway::start(&flags).await;
    workshop.cores.enter_client();
    let address: SocketAddrV4 = gateway.address().parse().expect("an address");
    let (mut ways, mut feeds) = (Vec::new(), Vec::new());
    for (channel, template) in wanted.templates.iter().enumerate() {
        let query = workshop.query();
        ways.push(Way {
            address,
            request: request(address, &format!("{PATH}?query={query}&interval={INTERVAL}")),
            channel,
            after_mark: template.after_mark(),
            may_begin_late: false,
        });
        feeds.push(Feed::new(&query, template.clone()));
    }
    let publisher = OverBus::new(bus, feeds.clone());
    Server {
        kind: Kind::Gateway,
        ways,
        publisher: Some(Box::new(publisher)),
        feeds,
        admin: gateway.admin_address().to_owned(),
        process: gateway.process,
        stopped: false,
        _folders: Vec::new(),
    }
}
