//! The guard's own process. It has one thread, and nothing of Asgard's but what it is told.

use super::{
    super::{
        helper, place, processes,
        stop::Rung,
        uptime::Uptime,
        workdir::{ChildFacts, GuardFacts, Layout, output_file},
    },
    messages::{Command, Order, Report},
    watchdog::Watchdog,
};
use rustix::process::{Pid, Signal, WaitOptions, set_child_subreaper, waitpid};
use std::{
    io,
    os::{fd::AsFd, unix::process::ExitStatusExt},
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines, Take},
    net::unix::pipe,
    signal::unix::{Signal as Listener, SignalKind, signal},
};

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The most that a supervisor says in the life of a step: plans and states go through files.
const MAX_TOLD: u64 = 16 << 20;

type Told = Lines<BufReader<Take<pipe::Receiver>>>;

/// Is the guard until Terraform has ended.
pub(in super::super) fn run() -> ExitCode {
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = threads.and_then(|threads| threads.block_on(guard()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => helper::complain(&format_args!("the guard of a run ended: {error}")),
    }
}

async fn guard() -> io::Result<()> {
    let told = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let tells = pipe::Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
    // Whoever stops a whole group, or a whole machine, must not end what ends Terraform in time.
    let mut deaf = Deaf::new()?;
    let mut told: Told = BufReader::new(told.take(MAX_TOLD)).lines();
    let Some(first) = told.next_line().await? else { return Ok(()) };
    let order: Order = serde_json::from_str(&first)?;
    // What a module starts and leaves behind becomes this process's child, and is found at the end wherever it hides.
    if let Err(error) = set_child_subreaper(Some(rustix::process::getpid())) {
        return Err(error.into());
    }
    let layout = Layout::at(order.root.clone());
    let mut child = match start(&order, &layout) {
        Ok(child) => child,
        Err(why) => {
            say(&tells, &Report::Refused { why });
            return Ok(());
        }
    };
    let pid = child.id().unwrap_or_default();
    say(&tells, &Report::Started);
    let mut ladder = Ladder { pid, rung: Rung::Run, layout: &layout, step: &order.step };
    let mut watchdog = Watchdog::new(order.grace, order.wind_down, order.until);
    let status = loop {
        tokio::select! {
            biased;
            status = child.wait() => break status?,
            line = told.next_line(), if !watchdog.is_alone() => match line.ok().flatten().map(|line| serde_json::from_str(&line)) {
                Some(Ok(Command::Until(until))) => watchdog.renewed(until),
                Some(Ok(Command::Climb(rung))) => ladder.climb(rung, false).await,
                // Nobody says such a thing, so whoever is there is no supervisor.
                Some(Err(_)) | None => watchdog.left_alone(Uptime::now()),
            },
            () = deaf.hear() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        ladder.climb(watchdog.due(Uptime::now()), true).await;
    };
    end_all(&layout).await;
    let ExitStatusParts { code, signal } = parts(status);
    say(&tells, &Report::Ended { code, signal });
    Ok(())
}

/// Starts Terraform behind the stage that confines it, and notes where it is: it must not run without being found again.
fn start(order: &Order, layout: &Layout) -> Result<tokio::process::Child, String> {
    let files =
        output_file(&layout.stdout(&order.step)).and_then(|out| Ok((out, output_file(&layout.stderr(&order.step))?)));
    let (stdout, stderr) = files.map_err(|error| error.chain())?;
    let note = layout.confined(&order.step);
    let command = helper::confined(&order.program, &order.confinement, Some(note), true);
    let mut command = command.map_err(|error| error.to_string())?;
    command
        .args(&order.args)
        .env_clear()
        .envs(order.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(layout.module());
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
    let child = command.spawn().map_err(|error| error.to_string())?;
    let pid = child.id().unwrap_or_default();
    let started = |pid| place::facts(pid).map(|facts| facts.started).unwrap_or_default();
    let me = std::process::id();
    let facts = ChildFacts {
        pid,
        started: started(pid),
        boot: place::boot().unwrap_or_default(),
        step: order.step.clone(),
        guard: Some(GuardFacts { pid: me, started: started(me) }),
    };
    if let Err(error) = layout.note_child(&facts) {
        processes::kill_group(pid);
        return Err(error.chain());
    }
    Ok(child)
}

/// Where on the ladder Terraform is.
struct Ladder<'a> {
    pid: u32,
    rung: Rung,
    layout: &'a Layout,
    step: &'a str,
}

impl Ladder<'_> {
    /// Takes the next steps. What the guard does by itself does not add to an interrupt that Terraform had from somebody else: a
    /// second one makes it give up.
    async fn climb(&mut self, to: Rung, by_itself: bool) {
        if to <= self.rung && to != Rung::Kill {
            return;
        }
        self.rung = to;
        match to {
            Rung::Run => {}
            Rung::Interrupt if by_itself && self.layout.was_interrupted(self.step) => {}
            Rung::Interrupt | Rung::InterruptAgain => processes::signal(self.pid, Signal::INT),
            // Again and again until it is gone: what it started may have started something.
            Rung::Kill => {
                processes::kill_group(self.pid);
                processes::kill_descendants();
            }
        }
    }
}

/// Ends whatever Terraform left behind, wherever it hides.
async fn end_all(layout: &Layout) {
    for _ in 0..100 {
        processes::kill_descendants();
        while let Ok(Some(_)) = waitpid(None::<Pid>, WaitOptions::NOHANG) {}
        if processes::descendants(std::process::id()).is_empty() {
            break;
        }
        tokio::time::sleep(LOOK / 10).await;
    }
    processes::kill_all(layout).await;
}

struct ExitStatusParts {
    code: Option<i32>,
    signal: Option<i32>,
}

fn parts(status: ExitStatus) -> ExitStatusParts {
    ExitStatusParts { code: status.code(), signal: status.signal() }
}

/// The supervisor may be gone, and then nobody has to hear it.
fn say(tells: &pipe::Sender, report: &Report) {
    if let Ok(mut line) = serde_json::to_vec(report) {
        line.push(b'\n');
        let _ = tells.try_write(&line);
    }
}

/// The signals that ask a process to end.
struct Deaf([Listener; 4]);

impl Deaf {
    fn new() -> io::Result<Self> {
        let listen = |kind| signal(kind);
        Ok(Self([
            listen(SignalKind::terminate())?,
            listen(SignalKind::interrupt())?,
            listen(SignalKind::hangup())?,
            listen(SignalKind::quit())?,
        ]))
    }

    async fn hear(&mut self) {
        let [terminate, interrupt, hangup, quit] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}
