//! Speed as ratios: Asgard beside a bare axum and a bare rmcp server, with the same load in the same run on the same
//! machine. `tests/bench` builds and runs it; `--smoke` only shows that every measurement works.

mod load;
mod servers;

use load::{Load, Wire, load, request};
use servers::{Credentials, LIST, Server, TOOLS};
use std::{
    fs,
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

const CONNECTIONS: usize = 32;

/// How much is measured.
struct Scale {
    length: Duration,
    rounds: usize,
    projects: [usize; 3],
    starts: usize,
    idle: usize,
}

const FULL: Scale =
    Scale { length: Duration::from_secs(3), rounds: 3, projects: [10, 1_000, 10_000], starts: 10, idle: 500 };
const SMOKE: Scale =
    Scale { length: Duration::from_millis(150), rounds: 1, projects: [10, 20, 40], starts: 1, idle: 20 };

/// A line of the report.
struct Row {
    what: String,
    aim: &'static str,
    found: String,
}

#[allow(clippy::print_stdout, reason = "the report is this program's answer")]
#[tokio::main]
async fn main() -> io::Result<()> {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let rows = measure(if smoke { &SMOKE } else { &FULL }).await?;
    println!("| measured | aim | found |\n| --- | --- | --- |");
    for row in rows {
        println!("| {} | {} | {} |", row.what, row.aim, row.found);
    }
    Ok(())
}

async fn measure(scale: &Scale) -> io::Result<Vec<Row>> {
    let mut rows = Vec::new();
    let folder = tempfile::tempdir()?;
    let (server, _) = servers::asgard(folder.path(), Some(servers::PASSWORD)).await?;
    let who = servers::prepare(&server).await?;
    let found = format!("{:.1} MB", server.memory_mb()?);
    rows.push(Row { what: "memory, just after a sign-in".into(), aim: "", found });
    server.stop().await?;
    let (server, _) = servers::asgard(folder.path(), None).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let found = format!("{:.1} MB", server.memory_mb()?);
    rows.push(Row { what: "memory, idle".into(), aim: "under 40 MB", found });
    let first = scale.projects.first().copied().unwrap_or_default();
    fill(&server, &who, first.saturating_sub(1)).await?;
    let bare = servers::bare(folder.path(), &servers::answers(&server, &who).await?).await?;

    http(&mut rows, scale, &server, &bare, &who).await?;
    lists(&mut rows, scale, &server, &bare, &who).await?;
    mcp(&mut rows, scale, &server, &bare, &who).await?;
    registration(&mut rows, scale, &server, &who, folder.path()).await?;
    memory(&mut rows, scale, &server).await?;
    server.stop().await?;
    bare.stop().await?;
    starts(&mut rows, scale, folder.path()).await?;
    Ok(rows)
}

/// The median of several rounds of A and B in turn, so that a machine that drifts drifts for both.
async fn pair(scale: &Scale, a: (&Server, &[u8]), b: (&Server, &[u8])) -> io::Result<(Load, Load, f64)> {
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        let left = load(&a.0.address, a.1, CONNECTIONS, scale.length).await?;
        let right = load(&b.0.address, b.1, CONNECTIONS, scale.length).await?;
        rounds.push((left, right, left.per_second / right.per_second));
    }
    rounds.sort_by(|x, y| x.2.total_cmp(&y.2));
    rounds.get(rounds.len() / 2).copied().ok_or_else(|| io::Error::other("no rounds"))
}

fn shown((own, other, ratio): (Load, Load, f64)) -> String {
    format!(
        "{ratio:.2} ({:.0}/s against {:.0}/s; p50 {:.2} ms, p99 {:.2} ms)",
        own.per_second,
        other.per_second,
        own.p50.as_secs_f64() * 1e3,
        own.p99.as_secs_f64() * 1e3
    )
}

async fn http(rows: &mut Vec<Row>, scale: &Scale, server: &Server, bare: &Server, who: &Credentials) -> io::Result<()> {
    let health = request("GET", "/healthz", None, None);
    let found = pair(scale, (server, &health), (bare, &health)).await?;
    rows.push(Row { what: "`/healthz` to bare axum".into(), aim: "0.5", found: shown(found) });
    let read = request("GET", &format!("/api/projects/{}", who.project), Some(&who.token), None);
    let json = request("GET", "/json/project", None, None);
    let found = pair(scale, (server, &read), (bare, &json)).await?;
    rows.push(Row { what: "`GET /api/projects/{id}` to bare axum".into(), aim: "0.1", found: shown(found) });
    Ok(())
}

async fn lists(
    rows: &mut Vec<Row>,
    scale: &Scale,
    server: &Server,
    bare: &Server,
    who: &Credentials,
) -> io::Result<()> {
    let list = request("GET", LIST, Some(&who.token), None);
    let json = request("GET", "/json/projects", None, None);
    let mut there = scale.projects.first().copied().unwrap_or_default();
    for wanted in scale.projects {
        fill(server, who, wanted.saturating_sub(there)).await?;
        there = wanted;
        let found = pair(scale, (server, &list), (bare, &json)).await?;
        rows.push(Row {
            what: format!("`GET /api/projects`, 10 of {wanted}, to bare axum"),
            aim: "flat",
            found: shown(found),
        });
    }
    Ok(())
}

/// Registers `more` projects over several connections.
async fn fill(server: &Server, who: &Credentials, more: usize) -> io::Result<()> {
    let body = servers::registration().to_string();
    let register = request("POST", "/api/projects", Some(&who.token), Some(&body));
    let mut tasks = Vec::new();
    for share in 0..CONNECTIONS {
        let count = more / CONNECTIONS + usize::from(share < more % CONNECTIONS);
        let (address, register) = (server.address.clone(), register.clone());
        tasks.push(tokio::spawn(async move {
            let mut wire = Wire::open(&address).await?;
            for _ in 0..count {
                let reply = wire.ask(&register).await?;
                if reply.status != 201 {
                    return Err(io::Error::other(format!("registration answered {}", reply.status)));
                }
            }
            io::Result::Ok(())
        }));
    }
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Ok(())
}

async fn mcp(rows: &mut Vec<Row>, scale: &Scale, server: &Server, bare: &Server, who: &Credentials) -> io::Result<()> {
    for tool in TOOLS {
        let call = servers::tool_call(tool).to_string();
        let plain = request("POST", "/mcp", None, Some(&call));
        let own = request("POST", "/mcp", Some(&who.key), Some(&call));
        let found = pair(scale, (server, &own), (bare, &plain)).await?;
        rows.push(Row {
            what: format!("`tools/call {tool}` to bare rmcp"),
            aim: "0.5, p50 under 3 ms",
            found: shown(found),
        });
    }
    Ok(())
}

/// How often a second this disk makes a small append durable, one after the other.
fn commit_rate(folder: &Path, length: Duration) -> io::Result<f64> {
    let mut file = fs::File::create(folder.join("durable"))?;
    let (started, mut count) = (Instant::now(), 0u32);
    while started.elapsed() < length {
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

async fn registration(
    rows: &mut Vec<Row>,
    scale: &Scale,
    server: &Server,
    who: &Credentials,
    folder: &Path,
) -> io::Result<()> {
    let body = servers::registration().to_string();
    let register = request("POST", "/api/projects", Some(&who.token), Some(&body));
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        let disk = commit_rate(folder, scale.length / 2)?;
        let one = load(&server.address, &register, 1, scale.length).await?;
        let many = load(&server.address, &register, CONNECTIONS, scale.length).await?;
        rounds.push((many.per_second / disk, one.per_second / disk, many, disk));
    }
    rounds.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (ratio, alone, many, disk) = *rounds.get(rounds.len() / 2).ok_or_else(|| io::Error::other("no rounds"))?;
    let found = format!(
        "{ratio:.2} ({:.0}/s against {disk:.0} durable appends/s; {alone:.2} over one connection)",
        many.per_second
    );
    rows.push(Row { what: "registration to the disk's durable commit rate".into(), aim: "0.3", found });
    Ok(())
}

async fn memory(rows: &mut Vec<Row>, scale: &Scale, server: &Server) -> io::Result<()> {
    let before = server.memory_mb()?;
    rows.push(Row { what: "memory, after the load".into(), aim: "", found: format!("{before:.1} MB") });
    let health = request("GET", "/healthz", None, None);
    let mut open = Vec::new();
    for _ in 0..scale.idle {
        let mut wire = Wire::open(&server.address).await?;
        wire.ask(&health).await?;
        open.push(wire);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    #[allow(clippy::cast_precision_loss, reason = "a count of connections")]
    let each = (server.memory_mb()? - before).max(0.0) / open.len() as f64;
    rows.push(Row { what: "memory, per open connection".into(), aim: "under 0.1 MB", found: format!("{each:.3} MB") });
    Ok(())
}

async fn starts(rows: &mut Vec<Row>, scale: &Scale, folder: &Path) -> io::Result<()> {
    for (what, password) in [
        ("exec to ready, database migrated", None),
        ("the same with a configured admin password", Some(servers::PASSWORD)),
    ] {
        let mut times = Vec::new();
        for _ in 0..scale.starts {
            let (server, took) = servers::asgard(folder, password).await?;
            times.push(took);
            server.stop().await?;
        }
        times.sort_unstable();
        let at = |i: usize| times.get(i).copied().unwrap_or_default().as_secs_f64() * 1e3;
        let found = format!("{:.0} ms median, {:.0} ms least", at(times.len() / 2), at(0));
        rows.push(Row { what: what.into(), aim: "under 50 ms", found });
    }
    Ok(())
}
