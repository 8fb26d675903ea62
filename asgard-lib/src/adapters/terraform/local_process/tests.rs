use super::{super::testkit, *};
use crate::ports::world::World;
use std::time::Duration;

fn run() -> RunId {
    World::system().id()
}

async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..1500 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain until {what}");
}

#[tokio::test]
async fn supervisors_are_started_apart_with_what_they_need_and_no_more() {
    let folder = testkit::folder();
    let program = folder.path().join("asgard");
    let notes = folder.path().join("notes");
    testkit::script(
        &program,
        &format!(
            "env >'{0}.new'; echo \"args=$*\" >>'{0}.new'; cut -d' ' -f5 /proc/$$/stat >'{0}.group'; echo $$ >>'{0}.group'; mv '{0}.new' '{0}'",
            notes.display()
        ),
    );
    let secret = |name: &str, value: &str| (name.to_owned(), SecretText::new(value));
    let options = LocalProcessOptions::new(&program, folder.path().join("work"))
        .args(["--config", "x.yaml", "run"])
        .environment([
            secret("PATH", "/usr/bin:/bin"),
            secret("ASGARD_SECRET_KEY", "master"),
            secret("AWS_REGION", "here"),
            secret("LD_PRELOAD", "/nowhere.so"),
            secret("SOMETHING_ELSE", "x"),
        ]);
    let (runner, run) = (LocalProcess::new(options), run());
    runner.launch(&run).await.unwrap();
    until("it has run", async || notes.exists()).await;
    let seen = fs::read_to_string(&notes).unwrap();
    assert!(seen.contains(&format!("args=--config x.yaml run {run}")), "{seen}");
    assert!(seen.contains("ASGARD_SECRET_KEY=master") && seen.contains("AWS_REGION=here"));
    assert!(!seen.contains("LD_PRELOAD") && !seen.contains("SOMETHING_ELSE"));
    let group = fs::read_to_string(folder.path().join("notes.group")).unwrap();
    let (group, pid) = group.trim().split_once('\n').unwrap();
    assert_eq!(group, pid, "it leads a group of its own");
    // Reaped, forgotten, and its log is gone.
    until("nothing is left", async || {
        runner.left_over().await.unwrap().is_empty() && runner.running.lock().unwrap().is_empty()
    })
    .await;
    assert!(place::facts(pid.parse().unwrap()).is_none(), "no zombie stays");
    until("the log is gone", async || !log_file(&folder.path().join("work"), &run).exists()).await;
}

#[tokio::test]
async fn settings_and_credentials_reach_a_supervisor_by_a_pipe_and_are_in_no_environment() {
    let folder = testkit::folder();
    let program = folder.path().join("asgard");
    let notes = folder.path().join("notes");
    testkit::script(&program, &format!("(env; echo; cat) >'{0}.new'; mv '{0}.new' '{0}'", notes.display()));
    let secret = |name: &str, value: &str| (name.to_owned(), SecretText::new(value));
    let options = LocalProcessOptions::new(&program, folder.path().join("work")).settings_by_pipe(true).environment([
        secret("PATH", "/usr/bin:/bin"),
        secret("ASGARD_SECRET_KEY", "master"),
        secret("ASGARD_DATABASE_URL", "postgres://user:word@host/x"),
        secret("AWS_REGION", "here"),
        secret("AWS_SECRET_ACCESS_KEY", "aws"),
        secret("AUTH0_CLIENT_SECRET", "auth0"),
        secret("PGPASSWORD", "pg"),
    ]);
    let (runner, run) = (LocalProcess::new(options), run());
    runner.launch(&run).await.unwrap();
    until("it has run", async || notes.exists()).await;
    let seen = fs::read_to_string(&notes).unwrap();
    let (environment, pipe) = seen.split_once("\n\n").unwrap();
    assert!(environment.contains("PATH=/usr/bin:/bin") && environment.contains("AWS_REGION=here"), "{environment}");
    for hidden in ["ASGARD_", "master", "word", "SECRET", "PGPASSWORD"] {
        assert!(!environment.contains(hidden), "{hidden} in {environment}");
    }
    let read = Environment::from_process_and_pipe(pipe.as_bytes()).unwrap();
    for (name, value) in [("ASGARD_SECRET_KEY", "master"), ("AWS_SECRET_ACCESS_KEY", "aws"), ("PGPASSWORD", "pg")] {
        assert_eq!(read.get(name).map(SecretText::reveal), Some(value));
    }
    let cut = Environment::from_process_and_pipe(&pipe.as_bytes()[..pipe.len() / 2]).unwrap_err();
    assert!(cut.to_string().contains("did not give it all") && !cut.to_string().contains("master"));
}

#[tokio::test]
async fn more_than_the_limit_wait_and_the_same_run_starts_once() {
    let folder = testkit::folder();
    let program = folder.path().join("asgard");
    let starts = folder.path().join("starts");
    testkit::script(
        &program,
        &format!(
            "echo x >>'{}'; i=0; while [ ! -e '{}/go' ] && [ $i -lt 600 ]; do sleep 0.05; i=$((i+1)); done",
            starts.display(),
            folder.path().display()
        ),
    );
    let options = LocalProcessOptions::new(&program, folder.path().join("work"))
        .concurrency(2)
        .environment([("PATH".into(), SecretText::new("/usr/bin:/bin"))]);
    let runner = LocalProcess::new(options);
    let (one, two, three) = (run(), run(), run());
    runner.launch(&one).await.unwrap();
    runner.launch(&one).await.unwrap();
    runner.launch(&two).await.unwrap();
    let error = runner.launch(&three).await.unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Limit, "a job waits for room without counting it as a failure");
    until("both have started", async || fs::read_to_string(&starts).unwrap_or_default() == "x\nx\n").await;
    fs::write(folder.path().join("go"), "").unwrap();
    until("there is room", async || runner.launch(&three).await.is_ok()).await;
    until("all have ended", async || runner.running.lock().unwrap().is_empty()).await;
}

/// A database that refuses supervisors is an outage of the database: the run waits for it, and the tries do not count against it.
#[tokio::test]
async fn a_supervisor_that_reaches_no_database_is_waited_for_and_tried_again() {
    let folder = testkit::folder();
    let program = folder.path().join("asgard");
    testkit::script(&program, "exit 3");
    let options = LocalProcessOptions::new(&program, folder.path().join("work"));
    let (runner, slow) = (LocalProcess::new(options), run());
    let run = run();
    runner.launch(&run).await.unwrap();
    for _ in 0..3 {
        until("it has ended", async || runner.why_unclaimed(&run).await.is_some()).await;
        until("its place is free", async || runner.running.lock().unwrap().is_empty()).await;
        let error = runner.launch(&run).await.unwrap_err();
        assert_eq!(error.code(), Code::RunnerUnavailable, "{}", error.chain());
        assert!(error.message().contains("database") && error.retry_after_secs().is_some());
    }

    // One that is there and has claimed nothing for as long as it may take is waiting for the same.
    testkit::script(&program, &format!("while [ ! -e '{}/go' ]; do sleep 0.05; done", folder.path().display()));
    runner.launch(&slow).await.unwrap();
    runner.running.lock().unwrap().insert(slow.clone(), Instant::now() - runner.claim_within());
    assert_eq!(runner.launch(&slow).await.unwrap_err().code(), Code::RunnerUnavailable);
    fs::write(folder.path().join("go"), "").unwrap();
}

#[tokio::test]
async fn a_program_that_is_not_there_frees_its_place() {
    let folder = testkit::folder();
    let options = LocalProcessOptions::new(folder.path().join("missing"), folder.path().join("work")).concurrency(1);
    let runner = LocalProcess::new(options);
    for _ in 0..3 {
        assert_eq!(runner.launch(&run()).await.unwrap_err().code(), Code::RunnerFailed);
    }
    assert!(runner.running.lock().unwrap().is_empty());
}

#[test]
fn a_log_that_grows_too_long_starts_again() {
    use std::io::Write;
    let folder = testkit::folder();
    let run = run();
    let path = log_file(folder.path(), &run);
    let mut file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
    file.write_all(&vec![b'x'; usize::try_from(LOG).unwrap()]).unwrap();
    bound_log(folder.path(), &run);
    assert_eq!(fs::metadata(&path).unwrap().len(), LOG);
    file.write_all(b"y").unwrap();
    bound_log(folder.path(), &run);
    file.write_all(b"last words").unwrap();
    assert_eq!(end_of(&path), "last words");
}
