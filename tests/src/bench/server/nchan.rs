//! Starts nginx with nchan: one worker, nothing logged, buffers that hold what is outstanding.

use std::path::Path;

use tokio::process::Command;

use super::{Kind, Server, Wanted, Workshop, free_port, on_server_core, until_it_listens, ways};
use crate::bench::publish::{Form, OverHttp};
use crate::process::Process;

/// Where distributions put the module.
const MODULES: [&str; 2] =
    ["/usr/lib/nginx/modules/ngx_nchan_module.so", "/usr/share/nginx/modules/ngx_nchan_module.so"];

pub(super) async fn start(
    workshop: &mut Workshop,
    wanted: Wanted<'_>,
    nodelay: bool,
) -> Result<Server, String> {
    let module = MODULES.iter().find(|path| Path::new(path).is_file());
    let module = module.ok_or("nchan is missing: run deploy/local/install.sh nchan")?;
    let shim = if nodelay { Some(workshop.shim().await?) } else { None };
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let address = free_port().map_err(|error| error.to_string())?;
    let config = config(module, folder.path(), &address.to_string());
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, config).map_err(|error| error.to_string())?;
    let mut command = Command::new("nginx");
    command.env("PATH", "/usr/sbin:/usr/bin:/bin").arg("-e").arg("stderr");
    command.arg("-p").arg(folder.path()).arg("-c").arg(&path);
    if let Some(shim) = shim {
        command.env("LD_PRELOAD", shim);
    }
    let process = on_server_core(workshop.cores, || Process::spawn("nginx with nchan", &mut command));
    until_it_listens("nginx with nchan", address).await;
    let publisher = OverHttp::new(address, Form::Body, wanted.templates.to_vec());
    Ok(Server {
        kind: if nodelay { Kind::NchanNodelay } else { Kind::Nchan },
        ways: ways(address, wanted.templates, true),
        publisher: Some(Box::new(publisher)),
        feeds: Vec::new(),
        admin: String::new(),
        process,
        stopped: false,
        _folders: vec![folder],
    })
}

fn config(module: &str, folder: &Path, address: &str) -> String {
    let folder = folder.display();
    format!(
        "load_module {module};
worker_processes 1;
daemon off;
user root;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 18000; }}
http {{
  access_log off;
  tcp_nodelay on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_body_buffer_size 256k;
  client_max_body_size 1m;
  keepalive_requests 1000000000;
  nchan_shared_memory_size 512m;
  server {{
    listen {address} backlog=4096;
    location /sub {{
      nchan_subscriber eventsource;
      nchan_channel_id $arg_id;
      nchan_subscriber_first_message newest;
    }}
    location /pub {{
      nchan_publisher;
      nchan_channel_id $arg_id;
      nchan_message_buffer_length 64;
      nchan_message_timeout 30s;
    }}
  }}
}}
"
    )
}
