//! nginx as a reverse proxy that passes streams on at once: the other baseline.

use crate::PROXY_CORE;
use portcullis_benches::Error;
use portcullis_benches::process::{Output, Pinned, free_address, on_core};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// One process on the proxies' core; `None` where nginx is not installed.
pub(crate) fn start(
    upstream: SocketAddr,
    scratch: &Path,
    output: Output,
) -> Result<Option<(SocketAddr, Pinned)>, Error> {
    let program = Path::new("/usr/sbin/nginx");
    let is_there = Command::new(program).arg("-v").output().is_ok();
    if !is_there {
        return Ok(None);
    }
    let address = free_address()?;
    let at = scratch.display();
    let config = format!(
        "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
         events {{ worker_connections 20000; }}
         http {{
           access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
           fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
           tcp_nodelay on; keepalive_requests 1000000; keepalive_timeout 75s;
           upstream model {{ server {upstream}; keepalive 512; keepalive_requests 1000000; }}
           server {{
             listen {address};
             location / {{
               proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection \"\";
               proxy_buffering off;
             }}
           }}
         }}"
    );
    let file = scratch.join("nginx.conf");
    std::fs::write(&file, config)?;
    let mut command = on_core(PROXY_CORE, program);
    command.arg("-c").arg(&file).arg("-p").arg(scratch);
    let mut process = Pinned::start(command, output)?;
    process.wait_ready(address, None)?;
    Ok(Some((address, process)))
}
