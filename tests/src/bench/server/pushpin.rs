//! Starts Pushpin with its built-in test route: no backend is asked, and there is one channel, `test`.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{Kind, Server, Wanted, Workshop, free_port, on_server_core, request, until_it_listens};
use crate::bench::client::Way;
use crate::bench::publish::{Form, OverHttp};
use crate::process::Process;

pub(super) async fn start(workshop: &Workshop, wanted: Wanted<'_>) -> Result<Server, String> {
    let program = Path::new("/usr/bin/pushpin");
    if !program.is_file() {
        return Err("Pushpin is missing: run deploy/local/install.sh pushpin".to_owned());
    }
    let [template] = wanted.templates else { return Err("Pushpin's test route has one channel".to_owned()) };
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (streams, publish) = (free_port(), free_port());
    let (streams, publish) = (streams.map_err(|e| e.to_string())?, publish.map_err(|e| e.to_string())?);
    let path = configure(folder.path(), streams, publish).map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.arg(format!("--config={}", path.display()));
    let process = on_server_core(workshop.cores, || Process::spawn("Pushpin", &mut command));
    process.line("that it started", |line| line.contains("started").then_some(())).await;
    until_it_listens("Pushpin's streams", streams).await;
    until_it_listens("Pushpin's publishing", publish).await;
    let way = Way {
        address: streams,
        request: request(streams, "/stream"),
        channel: 0,
        after_mark: template.after_mark(),
        may_begin_late: true,
    };
    Ok(Server {
        kind: Kind::Pushpin,
        ways: vec![way],
        publisher: Some(Box::new(OverHttp::new(publish, Form::Item, vec![template.clone()]))),
        feeds: Vec::new(),
        admin: String::new(),
        process,
        stopped: false,
        _folders: vec![folder],
    })
}

/// Writes its configuration: what Debian installs, with folders and ports of our own, and limits that do not throttle.
fn configure(folder: &Path, streams: SocketAddrV4, publish: SocketAddrV4) -> std::io::Result<PathBuf> {
    for name in ["run", "log"] {
        std::fs::create_dir(folder.join(name))?;
    }
    std::fs::write(folder.join("routes"), "* test\n")?;
    let path = folder.join("pushpin.conf");
    let (here, publish_host, publish_port) = (folder.display(), publish.ip(), publish.port());
    let config = format!(
        "[global]
include={{libdir}}/internal.conf
rundir={here}/run
ipc_prefix=bench-
port_offset=0

[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port={streams}
logdir={here}/log
log_level=2
client_buffer_size=8192
client_maxconn=50000

[proxy]
routesfile=routes
debug=false
auto_cross_origin=false
accept_x_forwarded_protocol=false
set_x_forwarded_protocol=proto-only
sig_iss=pushpin
sig_key=changeme
updates_check=off

[handler]
push_in_spec=ipc://{here}/run/push
push_in_sub_specs=ipc://{here}/run/sub
push_in_sub_connect=false
push_in_http_addr={publish_host}
push_in_http_port={publish_port}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
stats_spec=ipc://{{rundir}}/{{ipc_prefix}}stats
command_spec=ipc://{here}/run/command
message_rate=100000000
message_hwm=100000000
message_wait=5000
id_cache_ttl=60
connection_subscription_max=20
subscription_linger=60
"
    );
    std::fs::write(&path, config)?;
    Ok(path)
}
