//! Asking the server of this configuration whether it is ready: the health check of a container, which knows no address.

use crate::{
    failure::{Failure, Result},
    output,
};
use asgard_lib::config::{Environment, LoadOptions, load_server};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use ureq::Agent;

/// Shorter than what platforms give a health check.
const PATIENCE: Duration = Duration::from_secs(4);
/// How much of an answer is told.
const TOLD: u64 = 500;

pub fn run(config: Option<PathBuf>, live: bool) -> Result<()> {
    let env = Environment::from_process().without_secret_arns();
    let server = load_server(&LoadOptions { file: config, env, bind: None, also_known: Vec::new() })?;
    let address = reachable(server.bind);
    let agent = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        // It is this machine's own server, whatever proxy the environment names.
        .proxy(None)
        .user_agent(concat!("asgard-cli/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent();
    let path = if live { "/healthz" } else { "/readyz" };
    let mut answer = agent
        .get(format!("http://{address}{path}"))
        .call()
        .map_err(|error| Failure::unreachable(format!("no server answers at {address}: {error}")))?;
    if answer.status().is_success() {
        return output::line(if live { "alive" } else { "ready" });
    }
    let told = answer.body_mut().with_config().limit(TOLD).read_to_string().unwrap_or_default();
    Err(Failure::failed(format!("the server at {address} answers {}: {}", answer.status().as_u16(), told.trim())))
}

/// The address to ask at: one that listens on every address is asked on this machine's own.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}
