//! A host that keeps its own data in SQLite through sqlx, in the same process as Asgard's.

use asgard_lib::backends;
use sqlx::{Connection, SqliteConnection};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("asgard-neighbour-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let asgard = backends::open(&format!("sqlite://{}", folder.join("asgard.db").display())).await?;
    asgard.migrate().await?;
    let mut host = SqliteConnection::connect("sqlite::memory:").await?;
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut host).await?;
    asgard.check().await?;
    asgard.close().await;
    std::fs::remove_dir_all(&folder)?;
    println!("SQLite {version} for both");
    Ok(())
}
