//! A host that keeps its own data in SQLite through rusqlite, in the same process as Asgard's.

use asgard_lib::backends;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("asgard-neighbour-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let asgard = backends::open(&format!("sqlite://{}", folder.join("asgard.db").display())).await?;
    asgard.migrate().await?;
    let host = rusqlite::Connection::open_in_memory()?;
    let version: String = host.query_row("SELECT sqlite_version()", [], |row| row.get(0))?;
    asgard.check().await?;
    asgard.close().await;
    std::fs::remove_dir_all(&folder)?;
    println!("SQLite {version} for both");
    Ok(())
}
