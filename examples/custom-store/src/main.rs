//! `custom-store [FILE] [ADDRESS]`: serves an Asgard whose database is a redb file.

use asgard_lib::{
    app::bootstrap::{FirstAdmin, first_admin},
    http::{Front, HttpState, router, serve},
};
use std::{
    error::Error,
    io::{Write, stdout},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = PathBuf::from(arguments.next().unwrap_or_else(|| "asgard.redb".to_owned()));
    let listener = TcpListener::bind(arguments.next().as_deref().unwrap_or("127.0.0.1:8080")).await?;
    let address = listener.local_addr()?;

    let runtime = custom_store::asgard::open(&file, address).await?;
    let mut out = stdout();
    if let FirstAdmin::Generated(username, password) = first_admin(runtime.app()).await? {
        writeln!(out, "The first admin is {username}, the password {}. It is shown this once.", password.reveal())?;
    }
    writeln!(out, "Asgard on {} is ready at http://{address}", runtime.database().place())?;

    let stop = CancellationToken::new();
    let background = runtime.spawn_background(&stop);
    let front = Arc::new(Front::from(router(HttpState::new(Arc::clone(runtime.app())))));
    let settings = runtime.app().config().server.clone();
    let interrupted = stop.clone();
    tokio::spawn(async move {
        // Without signals there is no asking to stop: go on until killed, which the store survives.
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.cancel();
        }
    });
    serve(listener, front, &settings, stop).await?;
    background.stop(Duration::from_secs(settings.shutdown_grace_secs)).await;
    runtime.close().await;
    Ok(())
}
