//! Runs with an engine that misbehaves on purpose.

use super::{
    super::plan::{Basis, Pack},
    *,
};
use std::collections::BTreeSet;

/// Shell functions that speak as the engine does.
const WORDS: &str = r#"
say() { printf '%s\n' "$1"; }
version() { say '{"type":"version","ui":"1.2","terraform":"1.9.0"}'; }
start() { say '{"type":"apply_start","hook":{"resource":{"addr":"'"$1"'"},"action":"create"}}'; }
complete() { say '{"type":"apply_complete","hook":{"resource":{"addr":"'"$1"'"},"action":"create","elapsed_seconds":1}}'; }
errored() { say '{"type":"apply_errored","hook":{"resource":{"addr":"'"$1"'"},"action":"create"}}'; }
problem() { say '{"type":"diagnostic","diagnostic":{"severity":"error","summary":"'"$1"'","detail":"'"$2"'"}}'; }
state() { printf '{"version":4,"serial":%s,"lineage":"l","resources":[%s]}' "$1" "$2" >terraform.tfstate; }
thing() { printf '{"mode":"managed","type":"a","name":"%s","instances":[{"attributes":{"secret":"fresh-secret-value"}}]}' "$1"; }
"#;

/// An engine whose long commands do what `body` says.
fn engine(folder: &Path, body: &str) -> PathBuf {
    let bin = folder.join("terraform");
    let script = format!(
        r#"{WORDS}
case "$1" in
version) [ "$2" = -json ] && say '{{"terraform_version":"1.9.0"}}' || say 'Terraform v1.9.0' ;;
init) : ;;
show) say '{{"format_version":"1.0","values":{{"root_module":{{"resources":[{{"values":{{"s":"fresh-secret-value"}},"sensitive_values":{{"s":true}}}}]}}}}}}' ;;
*) {body} ;;
esac"#
    );
    testkit::script(&bin, &script);
    bin
}

fn apply() -> Order {
    let mut order = order(RunOp::Apply, json!({}));
    let salt = [1; 32];
    let basis = Basis::of("digest", "terraform 1.9.0", None, &order.variables, &salt).unwrap();
    order.plan = Some(Pack::new(&salt, basis, BTreeSet::new(), b"plan", None).bytes().unwrap());
    order
}

struct Case {
    folder: tempfile::TempDir,
    work: PathBuf,
    bin: PathBuf,
    reporter: FakeReporter,
    order: Order,
}

impl Case {
    fn new(body: &str) -> Self {
        let folder = testkit::folder();
        let (work, bin) = (folder.path().join("work"), engine(folder.path(), body));
        Self { work, bin, reporter: FakeReporter::default(), order: apply(), folder }
    }
    async fn run(&self) -> Option<RunOutcome> {
        carry_out(&self.order, &self.reporter, &self.work, &self.bin).await
    }
    fn note(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
    /// Where the scripts may leave notes for the test.
    fn with_notes(body: &str) -> Self {
        let case = Self::new("");
        engine(case.folder.path(), &format!("notes='{}'; {body}", case.folder.path().display()));
        case
    }
}

#[tokio::test]
async fn each_state_is_stored_while_the_engine_runs_and_words_wait_for_their_secrets() {
    let case = Case::with_notes(
        r#"version; start a.one
        say '{"type":"provision_progress","hook":{"resource":{"addr":"a.one"},"output":"it is planted-secret-value and fresh-secret-"}}'
        say '{"type":"provision_progress","hook":{"resource":{"addr":"a.one"},"output":"value"}}'
        state 1 "$(thing one)"; complete a.one; echo free fresh-secret-value >&2
        i=0; while [ $i -lt 100 ] && ! [ -e "$notes/go" ]; do sleep 0.1; i=$((i+1)); done
        state 2 "$(thing one)"; problem 'It broke' 'with fresh-secret-value'; exit 1"#,
    );
    let (ending, ()) = tokio::join!(case.run(), async {
        until("the first state is stored", || case.reporter.serials() == [1]).await;
        until("the first lines are stored", || case.reporter.text().contains("Creation complete")).await;
        assert!(!case.reporter.text().contains("it is"), "words wait");
        std::fs::write(case.folder.path().join("go"), "").unwrap();
    });
    assert_eq!(describe(&ending), "failed: It broke: with (secret) []");
    assert_eq!(case.reporter.serials(), [1, 2]);
    let text = case.reporter.text();
    assert!(text.contains("provision_progress a.one it is (secret) and (secret)"), "{text}");
    assert!(text.contains("log - free (secret)"), "{text}");
    assert!(!text.contains("secret-value"), "{text}");
    assert_eq!(entries(&case.work), Vec::<PathBuf>::new(), "the folder is gone");
    assert_eq!(case.reporter.engine_name().as_deref(), Some("terraform 1.9.0"));
}

#[tokio::test]
async fn a_state_that_is_on_its_way_when_the_engine_ends_arrives() {
    for rest in ["0", "0.2", "0.5"] {
        let case = Case::new(&format!("version; state 1 \"$(thing one)\"; sleep {rest}; complete a.one"));
        case.reporter.slow(Duration::from_millis(800));
        let ending = case.run().await;
        assert_eq!((describe(&ending).as_str(), case.reporter.serials()), ("applied", vec![1]), "{rest}");
        assert!(case.reporter.text().contains("The run ended"), "and so do the lines");
    }
}

#[tokio::test]
async fn a_cancelled_engine_is_interrupted_once_and_its_last_state_counts() {
    let mut case = Case::with_notes(
        r#"trap 'echo int >>"$notes/ints"; state 5 "$(thing one)"; errored a.two; exit 1' INT
        version; start a.one; complete a.one; start a.two; echo up >"$notes/up"
        while :; do sleep 0.05; done"#,
    );
    case.reporter = FakeReporter::lasting(Duration::from_secs(6));
    let (ending, ()) = tokio::join!(case.run(), async {
        until("it is up", || !case.note("up").is_empty()).await;
        case.reporter.cancel();
    });
    assert_eq!(describe(&ending), "cancelled []");
    assert_eq!((case.note("ints").as_str(), case.reporter.serials()), ("int\n", vec![5]));
    assert!(case.reporter.text().contains("The run was cancelled"));
}

#[tokio::test]
async fn an_engine_that_does_not_listen_is_killed_with_everything_it_started() {
    let mut case = Case::with_notes(
        r#"trap 'echo int >>"$notes/ints"' INT
        version; start a.one; state 3 "$(thing zero)"
        (trap '' INT; cd /; exec sleep 300) & echo $! >"$notes/child"
        while :; do sleep 0.05; done"#,
    );
    case.order.timeout = Duration::from_secs(3);
    case.order.grace = Duration::from_secs(1);
    let began = tokio::time::Instant::now();
    let ending = case.run().await;
    assert_eq!(describe(&ending), "timed_out [\"a.one\"]");
    assert_eq!(case.note("ints"), "int\nint\n");
    assert!((13..30).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(case.reporter.serials(), [3]);
    let child: u32 = case.note("child").trim().parse().unwrap();
    assert!(super::super::place::facts(child).is_none_or(|facts| facts.zombie), "what it started lives");
}

#[tokio::test]
async fn a_lost_lease_commits_nothing_and_keeps_the_folder() {
    let mut case = Case::with_notes(
        r#"trap 'state 9 "$(thing one)"; exit 1' INT
        version; start a.one; echo up >"$notes/up"; while :; do sleep 0.05; done"#,
    );
    case.reporter = FakeReporter::lasting(Duration::from_secs(6));
    let (ending, ()) = tokio::join!(case.run(), async {
        until("it is up", || !case.note("up").is_empty()).await;
        case.reporter.lose();
    });
    assert!(ending.is_none(), "{}", describe(&ending));
    let folders = entries(&case.work);
    assert_eq!(folders.len(), 1);
    assert!(std::fs::read_to_string(folders[0].join("module/terraform.tfstate")).unwrap().contains("\"serial\":9"));
}

#[tokio::test]
async fn a_lease_that_cannot_be_renewed_stops_the_engine_in_time() {
    let mut case = Case::with_notes(
        r#"trap 'echo int >"$notes/int"' INT
        version; start a.one; while :; do sleep 0.05; done"#,
    );
    case.reporter = FakeReporter::lasting(Duration::from_secs(6));
    case.reporter.hang();
    let began = tokio::time::Instant::now();
    let ending = case.run().await;
    // Whether it still holds the lease is for the commit of the ending to find out.
    assert_eq!(describe(&ending), "interrupted [\"a.one\"]");
    assert_eq!(case.note("int"), "int\n");
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert_eq!(case.reporter.renewed(), 0);
}

#[tokio::test]
async fn what_was_made_is_stored_however_long_after_the_lease_ran_out() {
    let mut case = Case::with_notes(
        r#"trap 'state 9 "$(thing one)"; exit 1' INT
        version; start a.one; complete a.one; start a.two; echo up >"$notes/up"; while :; do sleep 0.05; done"#,
    );
    case.reporter = FakeReporter::lasting(Duration::from_secs(6));
    let (ending, ()) = tokio::join!(case.run(), async {
        until("it is up", || !case.note("up").is_empty()).await;
        case.reporter.hang();
        case.reporter.refuse(Some(crate::error::Code::StoreUnavailable));
        tokio::time::sleep(Duration::from_secs(9)).await;
        case.reporter.refuse(None);
    });
    assert_eq!(describe(&ending), "interrupted [\"a.two\"]");
    assert_eq!(case.reporter.serials(), [9]);
    assert_eq!(case.reporter.lines().last().unwrap().kind, crate::domain::run::LogLine::ENDED);
    assert!(entries(&case.work).is_empty(), "everything is stored, so the folder goes");
}

#[tokio::test]
async fn a_supervisor_that_is_stopped_interrupts_once_however_many_were_signalled() {
    for told in [false, true] {
        let case = Case::with_notes(
            r#"trap 'echo int >>"$notes/ints"; exit 1' INT
            version; echo up >"$notes/up"; while :; do sleep 0.05; [ -e "$notes/said" ] && break; done
            say '{"type":"log","@message":"Interrupt received.\nPlease wait"}'; sleep 2.5; exit 1"#,
        );
        let mut options = options(&case.work, &case.bin);
        options.stop = tokio_util::sync::CancellationToken::new();
        let stop = options.stop.clone();
        let world = World::system();
        let (ending, ()) = tokio::join!(conduct(&case.order, &case.reporter, &world, &options), async {
            until("it is up", || !case.note("up").is_empty()).await;
            if told {
                std::fs::write(case.folder.path().join("said"), "").unwrap();
                until("the engine has said so", || case.reporter.text().contains("was interrupted")).await;
            }
            stop.cancel();
        });
        assert_eq!(describe(&ending), "interrupted []");
        assert_eq!(case.note("ints"), if told { "" } else { "int\n" }, "told: {told}");
    }
}

#[tokio::test]
async fn what_ends_a_run_is_told_apart() {
    for (body, expected) in [
        ("version; problem 'Saved plan is stale' ''; exit 1", "stale: Terraform says that the state changed"),
        ("version; start a.one; kill -9 $$", "interrupted [\"a.one\"]"),
        ("version; start a.one; exit 137", "interrupted [\"a.one\"]"),
        (
            "version; start a.one; say '{\"type\":\"log\",\"@message\":\"Interrupt received.\"}'; exit 1",
            "interrupted [\"a.one\"]",
        ),
        ("version; start a.one; complete a.one; exit 1", "failed: Terraform failed and gave no reason. [\"a.one\"]"),
        ("echo 'Error: no luck, planted-secret-value' >&2; exit 3", "failed: Error: no luck, (secret) []"),
        ("say '{\"type\":\"version\",\"ui\":\"2.0\"}'; sleep 20", "failed: Terraform speaks version `2.0`"),
        ("version", "applied"),
    ] {
        let ending = Case::new(body).run().await;
        assert!(describe(&ending).starts_with(expected), "{body}: {}", describe(&ending));
    }
    let mut missing = Case::new("version");
    missing.order.outputs.insert("token".into(), true);
    let ending = missing.run().await;
    assert_eq!(describe(&ending), "applied", "what is there is kept, and the control side says what is not");
    missing.bin = "/nowhere/terraform".into();
    assert!(describe(&missing.run().await).contains("was not found"));
}

#[tokio::test]
async fn an_output_that_the_manifest_calls_secret_is_secret() {
    let folder = testkit::folder();
    let bin = folder.path().join("terraform");
    testkit::script(
        &bin,
        &format!(
            r#"{WORDS}
        case "$1" in
        version) [ "$2" = -json ] && say '{{"terraform_version":"1.9.0"}}' || say 'Terraform v1.9.0' ;;
        show) say '{{"values":{{"outputs":{{"a":{{"value":"x","sensitive":false}},"b":{{"value":"y","sensitive":false}},"c":{{"value":"z","sensitive":true}}}}}}}}' ;;
        esac"#
        ),
    );
    let mut order = apply();
    order.outputs = [("a".into(), false), ("b".into(), true)].into();
    let ending = carry_out(&order, &FakeReporter::default(), &folder.path().join("work"), &bin).await;
    let Some(RunOutcome::Applied { outputs }) = ending else { panic!("{}", describe(&ending)) };
    let seen: Vec<_> = outputs.iter().map(|(name, output)| (name.as_str(), output.sensitive)).collect();
    assert_eq!(seen, [("a", false), ("b", true), ("c", true)]);
}

#[tokio::test]
async fn a_state_that_is_refused_fails_the_run_and_keeps_the_folder() {
    let case = Case::new("version; state 1 \"$(thing one)\"; complete a.one");
    case.reporter.refuse(Some(crate::error::Code::WrongState));
    let ending = case.run().await;
    assert!(describe(&ending).contains("state could not be stored"), "{}", describe(&ending));
    assert_eq!(entries(&case.work).len(), 1);
}

fn locked(version: &str) -> Vec<u8> {
    format!("provider \"r/a/b\" {{\n  version = \"{version}\"\n  hashes = [\n    \"h1:{version}\",\n  ]\n}}\n")
        .into_bytes()
}

/// A state with a thing in it.
fn something() -> zeroize::Zeroizing<Vec<u8>> {
    let thing = json!({"mode": "managed", "type": "a", "name": "b", "instances": [{}]});
    let state = json!({"version": 4, "serial": 1, "lineage": "l", "resources": [thing]});
    zeroize::Zeroizing::new(state.to_string().into_bytes())
}

/// An engine whose `init` does `body`, and whose plans are empty.
fn choosing(folder: &Path, body: &str) -> PathBuf {
    let bin = folder.join("terraform");
    let script = format!(
        r#"{WORDS}
new() {{ printf 'provider "r/a/b" {{\n  version = "1.1.0"\n  hashes = [\n    "h1:1.1.0",\n  ]\n}}\n' >.terraform.lock.hcl; }}
case "$1" in
version) [ "$2" = -json ] && say '{{"terraform_version":"1.9.0"}}' || say 'Terraform v1.9.0' ;;
init) {body} ;;
show) say '{{"format_version":"1.0"}}' ;;
plan) version; for word in "$@"; do case "$word" in -out=*) echo plan >"${{word#-out=}}" ;; esac; done ;;
esac"#
    );
    testkit::script(&bin, &script);
    bin
}

#[tokio::test]
async fn providers_that_are_not_offered_any_more_are_chosen_anew_and_the_plan_says_so() {
    let gone = "echo 'no available releases match the given constraints 1.0.0' >&2; exit 1";
    for op in [RunOp::PlanDestroy, RunOp::Refresh] {
        for (init, expected) in [
            // Those of the last apply are there.
            (r#"[ "$4" = -lockfile=readonly ] && grep -q 1.0.0 .terraform.lock.hcl || exit 9"#.to_owned(), None),
            (
                format!("if [ \"$4\" = -upgrade ] && ! [ -e .terraform.lock.hcl ]; then new; else {gone}; fi"),
                Some("1.1.0"),
            ),
        ] {
            let folder = testkit::folder();
            let bin = choosing(folder.path(), &init);
            let reporter = FakeReporter::default();
            let mut order = order(op, json!({}));
            order.files = [(super::super::workdir::LOCK.to_owned(), locked("0.9.0"))].into();
            order.lock = Some(locked("1.0.0"));
            order.state = Some(something());
            let ending = carry_out(&order, &reporter, &folder.path().join("work"), &bin).await;
            let told = reporter.text();
            let Some(expected) = expected else {
                assert!(!told.contains("chosen"), "{told}");
                assert!(
                    matches!(ending, Some(RunOutcome::Planned { .. } | RunOutcome::Refreshed { .. })),
                    "{}",
                    describe(&ending)
                );
                continue;
            };
            assert!(told.contains("others are chosen within the module's constraints"), "{told}");
            assert!(told.contains("Provider r/a/b is 1.1.0; the last apply was made with 1.0.0."), "{told}");
            match ending {
                Some(RunOutcome::Planned { summary, plan }) => {
                    let change = &summary.providers[0];
                    assert_eq!(
                        (change.provider.as_str(), change.from.as_deref(), change.to.as_deref()),
                        ("r/a/b", Some("1.0.0"), Some(expected))
                    );
                    // The destroy gets the providers that it was planned with.
                    assert_eq!(Pack::read(&plan).unwrap().lock().unwrap().unwrap().as_slice(), locked(expected));
                }
                other => assert!(matches!(other, Some(RunOutcome::Refreshed { .. })), "{}", describe(&other)),
            }
        }
    }
}

#[tokio::test]
async fn other_providers_are_chosen_for_no_other_reason_and_never_for_what_is_made() {
    let gone = "echo 'no available releases match the given constraints 1.0.0' >&2; exit 1";
    let away = "echo 'could not connect to the registry' >&2; exit 1";
    for (op, init, lock) in [
        (RunOp::PlanDestroy, away, true),
        (RunOp::Refresh, away, true),
        (RunOp::Plan, gone, false),
        (RunOp::PlanDestroy, gone, false),
    ] {
        let folder = testkit::folder();
        let bin = choosing(folder.path(), &format!("if [ \"$4\" = -upgrade ]; then new; else {init}; fi"));
        let mut order = order(op, json!({}));
        order.lock = lock.then(|| locked("1.0.0"));
        order.state = Some(something());
        let ending = carry_out(&order, &FakeReporter::default(), &folder.path().join("work"), &bin).await;
        assert!(describe(&ending).contains("terraform init did not work"), "{op:?}: {}", describe(&ending));
    }
}

#[tokio::test]
async fn what_has_no_state_is_removed_whatever_its_module_and_its_providers_are() {
    let empty = json!({"version": 4, "serial": 0, "lineage": "l", "resources": []}).to_string().into_bytes();
    for state in [None, Some(empty)] {
        let folder = testkit::folder();
        let (bin, work) = (choosing(folder.path(), "exit 9"), folder.path().join("work"));
        let reporter = FakeReporter::default();
        let mut order = order(RunOp::PlanDestroy, json!({}));
        order.files = [("main.tf".to_owned(), b"no { terraform".to_vec())].into();
        order.state = state.map(zeroize::Zeroizing::new);
        let ending = carry_out(&order, &reporter, &work, &bin).await;
        let Some(RunOutcome::Planned { summary, plan }) = ending else { panic!("{}", describe(&ending)) };
        assert!(summary.is_empty() && summary.digest.len() == 64);
        assert!(reporter.text().contains("nothing to remove"), "{}", reporter.text());

        (order.run, order.op, order.plan) = (run_id(), RunOp::Destroy, Some(plan));
        let ending = carry_out(&order, &reporter, &work, &bin).await;
        assert!(matches!(ending, Some(RunOutcome::Destroyed)), "{}", describe(&ending));
        assert_eq!(entries(&work), Vec::<PathBuf>::new());

        // What came to be since the plan is not removed by it, and what there is, is never nothing.
        (order.run, order.state) = (run_id(), Some(something()));
        let ending = carry_out(&order, &reporter, &work, &bin).await;
        assert!(
            describe(&ending).starts_with("stale: Since the plan was made, the state moved"),
            "{}",
            describe(&ending)
        );
        (order.run, order.op, order.plan) = (run_id(), RunOp::PlanDestroy, None);
        let ending = carry_out(&order, &reporter, &work, &bin).await;
        assert!(describe(&ending).contains("terraform init did not work"), "{}", describe(&ending));
    }
}
