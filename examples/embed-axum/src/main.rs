//! `embed-axum serve FOLDER [ADDRESS]` serves; `embed-axum session EMAIL [GROUP]...` does what the company's sign-in service
//! does and prints a cookie. Both need the key of sessions in `CORP_SESSION_KEY`.

use asgard_lib::ports::world::World;
use embed_axum::{
    service::Service,
    session::{COOKIE, Sessions, Visitor},
};
use std::{
    error::Error,
    io::{Write, stdout},
    path::Path,
    time::Duration,
};
use tokio::net::TcpListener;

const USAGE: &str = "Usage: embed-axum serve FOLDER [ADDRESS], or embed-axum session EMAIL [GROUP]...";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "a setting of the host's own and not one of Asgard's")]
    let key = std::env::var("CORP_SESSION_KEY").unwrap_or_default();
    let sessions = Sessions::from_hex(&key)
        .ok_or("CORP_SESSION_KEY: 64 hex digits, for example from `openssl rand -hex 32`, are needed.")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", folder, rest @ ..] if rest.len() < 2 => {
            serve(Path::new(folder), rest.first().unwrap_or(&"127.0.0.1:8080"), sessions).await
        }
        ["session", email, groups @ ..] => {
            let groups = groups.iter().map(|group| (*group).to_owned()).collect();
            let visitor = Visitor { email: email.parse()?, groups };
            let token = sessions.sign(visitor, World::system().now(), Duration::from_hours(8))?;
            writeln!(stdout(), "{COOKIE}={token}")?;
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}

async fn serve(folder: &Path, address: &str, sessions: Sessions) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let service = Service::open(folder, address, sessions).await?;
    let stop = service.stop();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    writeln!(stdout(), "The service is ready at http://{address}")?;
    service.serve(listener).await?;
    Ok(())
}
