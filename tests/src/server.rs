//! A running `asgard serve`.

use crate::{Client, Peers, Process, Site, eventually, eventually_within, processes::alive, wait::number_after};
use rustix::process::Signal;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

/// A server that a test started. Dropped, it is killed; what it started is the site's to clear away.
pub struct Server {
    child: Child,
    client: Client,
    log: PathBuf,
}

impl Server {
    pub(crate) fn start(site: &Site) -> Self {
        let mut server = Self::launch(site);
        let ready = server.comes_up(Duration::from_secs(60));
        assert!(ready, "the server did not become ready:\n{}", server.log_text());
        server
    }

    /// Starts one and waits until it listens, which it does before it is ready. It chooses its port itself: one that was free
    /// a moment ago may be another test's by now, whose server would answer in its place.
    pub fn launch(site: &Site) -> Self {
        Self::launched(site, |command| command)
    }

    /// Starts one as on another machine: with the same database and work folder, and without a sight of any process of this one. Waits
    /// until it is ready.
    pub fn start_elsewhere(site: &Site) -> Self {
        let mut server = Self::launched(site, |command| {
            let mut elsewhere = std::process::Command::new("unshare");
            if !rustix::process::geteuid().is_root() {
                elsewhere.args(["--user", "--map-root-user"]);
            }
            elsewhere.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
            elsewhere.arg(command.get_program()).args(command.get_args());
            elsewhere.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            elsewhere.current_dir(site.dir()).stdin(std::process::Stdio::null());
            elsewhere
        });
        let ready = server.comes_up(Duration::from_secs(60));
        assert!(ready, "the server did not become ready:\n{}", server.log_text());
        server
    }

    fn launched(site: &Site, adapt: impl FnOnce(std::process::Command) -> std::process::Command) -> Self {
        let log = site.dir().join(format!("server-{}.log", site.next_start()));
        let file = File::create(&log).expect("the log can be made");
        let mut command = adapt(site.command(&["serve", "--bind", "127.0.0.1:0"]));
        command.stdout(file.try_clone().expect("the log can be shared")).stderr(file);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", Peers::get().asgard.display()));
        let port = eventually("the server says where it listens", || {
            let ended = child.try_wait().expect("a child can be asked");
            let said = String::from_utf8_lossy(&fs::read(&log).expect("the log can be read")).into_owned();
            let port = number_after(&said, "Listening; opening the database. address=127.0.0.1:");
            assert!(port.is_some() || ended.is_none(), "the server ended before it listened:\n{said}");
            port
        });
        Self { child, client: site.client(&format!("http://127.0.0.1:{port}")), log }
    }

    /// Waits until it says that it is ready; `false` when it ends instead.
    pub fn comes_up(&mut self, limit: Duration) -> bool {
        let start = Instant::now();
        loop {
            if self.client.try_get("/readyz").is_some_and(|reply| reply.status == 200) {
                return true;
            }
            if self.child.try_wait().expect("a child can be asked").is_some() {
                return false;
            }
            assert!(start.elapsed() < limit, "not ready after {} s:\n{}", limit.as_secs(), self.log_text());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A client without a credential.
    pub fn anonymous(&self) -> &Client {
        &self.client
    }

    /// `http://127.0.0.1:<port>`.
    pub fn base(&self) -> &str {
        self.client.base()
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process::of(self.child.id()).expect("the server lives")
    }

    /// What it has logged.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// kill -9, of the server's process only.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// SIGTERM, and its exit.
    pub fn stop(&mut self) -> ExitStatus {
        self.process().signal(Signal::TERM);
        self.wait(Duration::from_secs(40))
    }

    /// Its exit, without having asked for it.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        eventually_within(limit, "the server ends", || self.child.try_wait().expect("a child can be asked"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = Process::of(self.child.id()).filter(alive) {
            process.signal(Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
