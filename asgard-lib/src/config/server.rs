//! The listener: where it listens, whom it believes, and its limits.

use super::{
    section::section,
    spec::{Spec, at, env},
    value::{PublicUrl, Refusal, SystemName, Value},
};
use crate::kernel::{BasePath, SecretText};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

section! {
    /// The listener.
    pub struct Server {
        /// The address to listen on. `localhost:8080` means `127.0.0.1:8080`. `--bind` wins over both.
        bind: SocketAddr = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)), at("server.bind").env("ASGARD_BIND");
        /// The address that people and agents reach Asgard at. Used in links and metadata; `/mcp` then also checks the Host
        /// header against it. With a path, such as `https://example.com/governance`, everything is served below that path, and
        /// the proxy in front passes the path on as it is; `/healthz`, `/readyz` and `/metrics` stay at the root as well.
        public_url: Option<PublicUrl> = None, at("server.public_url").env("ASGARD_PUBLIC_URL");
        /// The address that agents reach `/mcp` at, without that path, where it is another one than `public_url`: the dashboard
        /// shows it beside a new key.
        mcp_url: Option<PublicUrl> = None, at("server.mcp_url").env("ASGARD_MCP_URL");
        /// The name that the dashboard shows. Changes nothing else.
        system_name: SystemName = SystemName::default(), at("server.system_name").env("ASGARD_SYSTEM_NAME");
        /// The networks whose `X-Forwarded-For` and `X-Forwarded-Proto` headers count.
        trusted_proxies: Vec<IpNet> = private_networks(), at("trusted_proxies");
        /// Marks every session cookie Secure, whatever scheme the request seems to have.
        force_https: bool = false, at("server.force_https").env("ASGARD_FORCE_HTTPS");
        /// Turns the sign-in of people off. For throw-away local work: honoured only when listening on a loopback
        /// address, otherwise it stays off and a warning says so. Never affects `/mcp` and other uses of keys.
        dev_insecure: bool = false, env("ASGARD_DEV_INSECURE");
        /// The largest request body.
        max_body_bytes: u64 = 1024 * 1024, at("server.max_body_bytes").unit("bytes").range(1024, 64 * 1024 * 1024);
        /// How long a request may take.
        request_timeout_secs: u64 = 60, at("server.request_timeout_secs").unit("seconds").range(1, 600);
        /// How many connections are served at once; more wait.
        max_connections: u32 = 4096, at("server.max_connections").unit("connections").range(1, 1_000_000);
        /// How many connections one peer may have at once; more wait. A proxy is one peer: where one opens more, raise this. IPv6
        /// addresses of one /64 network are one peer. `/healthz` and `/readyz` are answered without a place of either kind.
        max_connections_per_peer: u32 = 1024, at("server.max_connections_per_peer").unit("connections").range(1, 1_000_000);
        /// How long requests may finish after a signal to stop.
        shutdown_grace_secs: u64 = 25, at("server.shutdown_grace_secs").unit("seconds").range(0, 600);
    }
}

section! {
    /// Who may read `/metrics`.
    pub struct Metrics {
        /// Opens `/metrics` to everybody. On a loopback address it is open anyway.
        open: bool = false, at("metrics.open");
        /// The bearer token that reads `/metrics`. Without one, and not open, `/metrics` refuses everybody.
        token: Option<SecretText> = None, env("ASGARD_METRICS_TOKEN").secret();
    }
}

section! {
    /// The operator's log.
    pub struct Log {
        /// What is logged: a level, or a filter such as `info,asgard_lib::app=debug`.
        filter: String = "info".to_owned(), at("log.filter").env("ASGARD_LOG");
        /// How it is written: `text` for people, `json` for machines.
        format: LogFormat = LogFormat::Text, at("log.format").env("ASGARD_LOG_FORMAT");
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Server {
    /// The path of the public address, below which everything is served; the root when there is none.
    pub fn base(&self) -> BasePath {
        self.public_url.as_ref().map(|public| public.base().clone()).unwrap_or_default()
    }

    /// Whether only this machine can reach the listener.
    pub fn is_loopback(&self) -> bool {
        self.bind.ip().to_canonical().is_loopback()
    }

    /// Whether forwarded headers from `peer` count.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&peer))
    }
}

fn private_networks() -> Vec<IpNet> {
    let v4 = [([127, 0, 0, 0], 8), ([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16)];
    let v6 = [(Ipv6Addr::LOCALHOST, 128), (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7)];
    let v4 = v4.into_iter().map(|(address, length)| (IpAddr::from(address), length));
    let v6 = v6.into_iter().map(|(address, length)| (IpAddr::from(address), length));
    v4.chain(v6).filter_map(|(address, length)| IpNet::new(address, length).ok()).collect()
}

impl Value for LogFormat {
    fn allowed(_: &Spec) -> String {
        "text or json".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Refusal::NotAllowed),
        }
    }

    fn format(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Json => "json".to_owned(),
        }
    }
}
