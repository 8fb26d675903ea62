//! Supervisors and engines that die, with the real engine: nothing that was written is lost, nothing runs on.

use super::{
    super::{
        LocalProcess, LocalProcessOptions,
        environment::Environment,
        here, place, processes,
        workdir::{ChildFacts, Layout},
    },
    real::{Demo, engine},
    *,
};
use crate::{
    domain::run::Inventory,
    ports::{
        runner::{Liveness, Runner, SupervisorLocation},
        world::{Clock, SystemClock},
    },
};

async fn planned(seconds: u32) -> Demo {
    let mut demo = Demo::new(json!({"seconds": seconds}));
    demo.plan(RunOp::Plan).await;
    demo
}

fn runner(work: &Path) -> std::sync::Arc<LocalProcess> {
    LocalProcess::new(LocalProcessOptions::new("/bin/false", work))
}

#[tokio::test]
async fn an_engine_that_is_killed_interrupts_the_run_and_says_what_may_exist() {
    let demo = planned(8).await;
    let (order, reporter) = (demo.order(RunOp::Apply), FakeReporter::default());
    let layout = Layout::new(&demo.work().canonicalize().unwrap(), &order.run);
    let (work, bin) = (demo.work(), engine());
    let (ending, ()) = tokio::join!(carry_out(&order, &reporter, &work, &bin), async {
        until("the second step is under way", || reporter.text().contains("apply_start terraform_data.step_2")).await;
        let child = layout.child().unwrap();
        assert_eq!(child.step, "apply");
        processes::signal(child.pid, rustix::process::Signal::KILL);
    });
    assert_eq!(describe(&ending), "interrupted [\"terraform_data.step_2\"]");
    let states = reporter.states();
    let stored = Inventory::of(states.last().unwrap()).addresses();
    assert_eq!(stored.into_iter().collect::<Vec<_>>(), ["terraform_data.step_1", "terraform_data.token"]);
    assert!(processes::of_run(&layout).is_empty());
    assert!(!layout.root().exists());
}

#[tokio::test]
async fn a_supervisor_that_is_torn_down_leaves_its_state_and_no_process() {
    let demo = planned(8).await;
    let (order, reporter) = (demo.order(RunOp::Apply), FakeReporter::default());
    let layout = Layout::new(&demo.work().canonicalize().unwrap(), &order.run);
    {
        let (work, bin) = (demo.work(), engine());
        let run = carry_out(&order, &reporter, &work, &bin);
        tokio::select! {
            ending = run => panic!("{}", describe(&ending)),
            () = until("the second step is under way", || reporter.text().contains("apply_start terraform_data.step_2")) => {}
        }
    }
    until("its processes are gone", || processes::of_run(&layout).is_empty()).await;
    let runner = runner(&demo.work());
    assert_eq!(runner.left_over().await.unwrap(), std::slice::from_ref(&order.run));
    let left = runner.salvage(&order.run, None).await.unwrap();
    assert_eq!(left.may_exist, ["terraform_data.step_2"]);
    assert!(Inventory::of(&left.state.unwrap()).addresses().contains("terraform_data.step_1"));
    assert!(!left.logged.iter().any(|line| line.kind == "version" || line.message.contains("Creating... [")));
    // This test is still the supervisor that the folder names, so cleaning waits for it.
    runner.clean(&order.run).await.unwrap();
    assert!(layout.root().exists());
    disown(&layout);

    // The same run again: what is there is stored, and nothing is applied.
    let again = FakeReporter::default();
    let ending = carry_out(&order, &again, &demo.work(), &engine()).await;
    assert_eq!(describe(&ending), "interrupted [\"terraform_data.step_2\"]");
    assert_eq!(again.states().len(), 1);
    assert!(!again.text().contains("is ready"));
    runner.clean(&order.run).await.unwrap();
    assert_eq!(runner.left_over().await.unwrap(), []);
    runner.clean(&order.run).await.unwrap();
}

/// Makes the folder that of a process that is gone.
fn disown(layout: &Layout) -> SupervisorLocation {
    let here = here(layout.root().parent().unwrap());
    let SupervisorLocation::Process { host, boot, installation, .. } = here else {
        panic!("no facts about this process")
    };
    let gone = SupervisorLocation::Process { host, boot, pid: 999_999_999, started: 1, installation };
    let facts = json!({"supervisor": gone, "grace_secs": 20});
    std::fs::write(layout.root().join("run.json"), facts.to_string()).unwrap();
    gone
}

/// Starts an apply as a supervisor would that was then killed: nobody is its parent who cares.
async fn orphan(demo: &Demo, body: Option<&str>) -> (Layout, u32, RunId) {
    std::fs::create_dir_all(demo.work()).unwrap();
    let order = demo.order(RunOp::Apply);
    let layout = Layout::new(&demo.work().canonicalize().unwrap(), &order.run);
    for folder in [layout.module(), layout.home(), layout.tmp()] {
        std::fs::create_dir_all(folder).unwrap();
    }
    for (name, bytes) in &order.files {
        std::fs::write(layout.module().join(name), bytes).unwrap();
    }
    std::fs::write(layout.cli_config(), "").unwrap();
    std::fs::write(layout.module().join("terraform.tfvars.json"), serde_json::to_vec(&order.variables).unwrap())
        .unwrap();
    let environment = Environment::of_run(&order.child_env, &layout);
    let mut command = std::process::Command::new("sh");
    let script = body
        .map_or_else(|| format!("exec {} apply -json -auto-approve -input=false", engine().display()), str::to_owned);
    command.args(["-c", &script]).env_clear().envs(environment.variables()).current_dir(layout.module());
    command.stdin(std::process::Stdio::null()).stdout(std::fs::File::create(layout.stdout("apply")).unwrap());
    let child = std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn().unwrap();
    let started = place::facts(child.id()).unwrap().started;
    let facts =
        ChildFacts { pid: child.id(), started, boot: place::boot().unwrap(), step: "apply".into(), guard: None };
    layout.note_child(&facts).unwrap();
    let pid = child.id();
    std::thread::spawn(move || child.wait_with_output());
    (layout, pid, order.run)
}

fn printed(layout: &Layout) -> String {
    std::fs::read_to_string(layout.stdout("apply")).unwrap_or_default()
}

#[tokio::test]
async fn an_orphaned_engine_is_ended_before_its_supervisor_counts_as_dead() {
    let demo = Demo::new(json!({"seconds": 40}));
    let (layout, pid, run) = orphan(&demo, None).await;
    let gone = disown(&layout);
    until("the first step is under way", || printed(&layout).contains("terraform_data.step_1: Creating")).await;
    let runner = runner(&demo.work());
    assert_eq!(runner.probe(&here(&demo.work()), SystemClock.now()).await, Liveness::Alive);
    assert!(place::facts(pid).is_some(), "asking about somebody else ends nothing");

    assert_eq!(runner.probe(&gone, SystemClock.now()).await, Liveness::Dead);
    assert!(processes::of_run(&layout).is_empty());
    assert!(printed(&layout).contains("Interrupt received"), "it was interrupted before it was killed");
    let left = runner.salvage(&run, Some(&gone)).await.unwrap();
    assert!(left.may_exist.is_empty(), "{:?}", left.may_exist);
    let stored = Inventory::of(&left.state.unwrap()).addresses();
    assert!(
        stored.contains("terraform_data.step_1"),
        "the step that was interrupted is recorded as tainted: {stored:?}"
    );
    let lines: Vec<_> = left.logged.iter().map(|line| line.kind.as_str()).collect();
    assert!(lines.contains(&"apply_errored") && !lines.contains(&"diagnostic"), "{lines:?}");
    runner.clean(&run).await.unwrap();
    assert!(!layout.root().exists());
}

#[tokio::test]
async fn processes_that_hide_from_their_group_are_found_by_their_home() {
    let demo = Demo::new(json!({}));
    let script =
        "setsid sh -c 'trap \"\" INT TERM; cd /; exec sleep 300' & (cd /tmp && env -i sleep 301) & exec sleep 302";
    let (layout, _, _) = orphan(&demo, Some(script)).await;
    let gone = disown(&layout);
    until("all three are up", || processes::of_run(&layout).len() >= 3).await;
    assert_eq!(runner(&demo.work()).probe(&gone, SystemClock.now()).await, Liveness::Dead);
    assert_eq!(processes::of_run(&layout), Vec::<u32>::new());
}
