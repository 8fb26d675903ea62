//! Against a small ECS on a loopback port that keeps tasks, knows client tokens, and fails as it is told.

use super::*;
use crate::error::Kind;
use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Mutex};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

#[derive(Clone)]
struct Known {
    arn: String,
    started_by: String,
    token: String,
    status: &'static str,
    why: Option<&'static str>,
}

#[derive(Default)]
struct Ecs {
    tasks: Vec<Known>,
    runs: Vec<Value>,
    /// Answers of the next calls of an operation, instead of what it would do.
    faults: BTreeMap<&'static str, Vec<Fault>>,
}

#[derive(Clone)]
enum Fault {
    /// It is done, and nobody hears of it.
    LostReply,
    Error(&'static str, &'static str),
    Failure(&'static str),
}

type Shared = Arc<Mutex<Ecs>>;

impl Ecs {
    fn answer(&mut self, operation: &str, body: &Value) -> (u16, Value) {
        let started_by = body["startedBy"].as_str().unwrap_or_default().to_owned();
        match operation {
            "RunTask" => {
                self.runs.push(body.clone());
                let token = body["clientToken"].as_str().unwrap().to_owned();
                let known = self.tasks.iter().find(|task| task.token == token).cloned();
                let task = known.unwrap_or_else(|| {
                    let arn = format!("arn:aws:ecs:eu-west-1:1:task/runs/{}", self.tasks.len());
                    let task = Known { arn, started_by, token, status: "PROVISIONING", why: None };
                    self.tasks.push(task.clone());
                    task
                });
                (200, json!({"tasks": [described(&task)], "failures": []}))
            }
            "ListTasks" => {
                let has = |filter: &str| !body[filter].is_null();
                if has("startedBy") && ["family", "desiredStatus", "launchType", "serviceName"].into_iter().any(has) {
                    let message = "startedBy must be the only filter that you use.";
                    return (400, json!({"__type": "InvalidParameterException", "message": message}));
                }
                let stopped = body["desiredStatus"] == "STOPPED";
                let arns: Vec<_> = self
                    .tasks
                    .iter()
                    .filter(|task| !has("startedBy") || task.started_by == started_by)
                    .filter(|_| !has("family") || body["family"] == "asgard-runner")
                    .filter(|task| (task.status == "STOPPED") == stopped)
                    .map(|task| &task.arn)
                    .collect();
                // Short pages, so that there is more than one.
                let from: usize = body["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
                let next = (arns.len() > from + 2).then(|| (from + 2).to_string());
                (200, json!({"taskArns": arns.iter().skip(from).take(2).collect::<Vec<_>>(), "nextToken": next}))
            }
            "DescribeTasks" => {
                let asked: Vec<&str> = body["tasks"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
                let tasks: Vec<_> =
                    self.tasks.iter().filter(|task| asked.contains(&task.arn.as_str())).map(described).collect();
                let missing: Vec<_> = asked
                    .iter()
                    .filter(|arn| !self.tasks.iter().any(|task| task.arn == **arn))
                    .map(|arn| json!({"arn": arn, "reason": "MISSING"}))
                    .collect();
                (200, json!({"tasks": tasks, "failures": missing}))
            }
            other => (400, json!({"__type": "UnknownOperationException", "message": other})),
        }
    }
}

fn described(task: &Known) -> Value {
    let mut value = json!({"taskArn": task.arn, "lastStatus": task.status, "startedBy": task.started_by,
        "containers": [{"name": "runner"}], "createdAt": 1_795_000_000});
    if let Some(why) = task.why {
        value["stoppedReason"] = why.into();
        value["stoppedAt"] = 1_795_000_100.into();
    }
    value
}

async fn serve(stream: TcpStream, ecs: Shared) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut operation, mut length, mut line) = (String::new(), 0, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let lower = line.trim().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            if lower.starts_with("x-amz-target:") {
                operation = line.trim().rsplit('.').next().unwrap().to_owned();
            } else if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let (status, answer) = {
            let mut ecs = ecs.lock().unwrap();
            let fault = ecs
                .faults
                .get_mut(operation.as_str())
                .and_then(|faults| (!faults.is_empty()).then(|| faults.remove(0)));
            match fault {
                None => ecs.answer(&operation, &body),
                Some(Fault::Error(code, message)) => (400, json!({"__type": code, "message": message})),
                Some(Fault::Failure(reason)) => {
                    (200, json!({"tasks": [], "failures": [{"arn": "a", "reason": reason}]}))
                }
                Some(Fault::LostReply) => {
                    ecs.answer(&operation, &body);
                    return;
                }
            }
        };
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if stream.get_mut().write_all(format!("{head}{answer}").as_bytes()).await.is_err() {
            return;
        }
    }
}

fn settings() -> Fargate {
    Fargate {
        cluster: "runs".into(),
        task_definition: "asgard-runner:3".into(),
        container: "runner".into(),
        subnets: vec!["subnet-1".into()],
        security_groups: vec!["sg-1".into()],
        assign_public_ip: false,
    }
}

async fn ecs() -> (Arc<Tasks>, Shared) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Shared::default();
    let served = Arc::clone(&shared);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&served)));
        }
    });
    let config = aws_sdk_ecs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(format!("http://{address}"))
        .build();
    (Tasks::with_client(settings(), Client::from_conf(config)), shared)
}

fn run() -> RunId {
    "run_01arz3ndektsv4rrffq69g5fav".parse().unwrap()
}

fn fail(ecs: &Shared, operation: &'static str, fault: Fault) {
    ecs.lock().unwrap().faults.entry(operation).or_default().push(fault);
}

#[tokio::test]
async fn a_task_is_told_the_runs_id_and_nothing_else() {
    let (tasks, ecs) = ecs().await;
    tasks.launch(&run()).await.unwrap();
    let asked = ecs.lock().unwrap().runs[0].clone();
    assert_eq!(asked["overrides"], json!({"containerOverrides": [{"name": "runner", "command": [run()]}]}));
    assert_eq!(asked["clientToken"], format!("{}-1", run()));
    assert!(asked["clientToken"].as_str().unwrap().len() <= 64);
    for (field, value) in [
        ("cluster", json!("runs")),
        ("taskDefinition", json!("asgard-runner:3")),
        ("launchType", json!("FARGATE")),
        ("platformVersion", json!("LATEST")),
        ("count", json!(1)),
        ("startedBy", json!(run())),
        ("enableExecuteCommand", json!(false)),
        ("propagateTags", json!("TASK_DEFINITION")),
        ("tags", json!([{"key": "asgard:run", "value": run()}])),
    ] {
        assert_eq!(asked[field], value, "{field}");
    }
    let network = &asked["networkConfiguration"]["awsvpcConfiguration"];
    assert_eq!(*network, json!({"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}));
}

#[tokio::test]
async fn dispatchers_that_race_and_replies_that_get_lost_come_to_one_task() {
    let (tasks, ecs) = ecs().await;
    let id = run();
    let (one, two) = tokio::join!(tasks.launch(&id), tasks.launch(&id));
    one.unwrap();
    two.unwrap();
    tasks.launch(&id).await.unwrap();
    assert_eq!(ecs.lock().unwrap().tasks.len(), 1);

    ecs.lock().unwrap().tasks.clear();
    fail(&ecs, "RunTask", Fault::LostReply);
    let lost = tasks.launch(&id).await.unwrap_err();
    assert_eq!((lost.code(), lost.retry_after_secs()), (Code::RunnerUnavailable, Some(15)), "it is waited for");
    tasks.launch(&id).await.unwrap();
    assert_eq!(ecs.lock().unwrap().tasks.len(), 1, "the one whose reply was lost is found");

    // A list that lags does not show it yet; the token does.
    ecs.lock().unwrap().tasks[0].started_by = "not listed".into();
    tasks.launch(&id).await.unwrap();
    assert_eq!(ecs.lock().unwrap().tasks.len(), 1);
}

#[tokio::test]
async fn a_task_that_died_is_followed_by_another_and_says_why_in_the_end() {
    let (tasks, ecs) = ecs().await;
    let id = run();
    assert_eq!(tasks.why_unclaimed(&id).await, None);
    // Tasks of other runs of the same family, some of them ended.
    for n in 0..5 {
        let status = if n % 2 == 0 { "STOPPED" } else { "RUNNING" };
        let other =
            Known { arn: format!("other-{n}"), started_by: "other".into(), token: String::new(), status, why: None };
        ecs.lock().unwrap().tasks.push(other);
    }
    for number in 1..=3 {
        tasks.launch(&id).await.unwrap();
        let mut ecs = ecs.lock().unwrap();
        assert_eq!(ecs.tasks.len(), 5 + number);
        let task = ecs.tasks.last_mut().unwrap();
        assert_eq!(task.token, format!("{id}-{number}"));
        let why =
            "ResourceInitializationError: unable to pull secrets: arn:aws:iam::123456789012:role/x may not read it";
        (task.status, task.why) = ("STOPPED", Some(why));
    }
    let why = tasks.why_unclaimed(&id).await.unwrap();
    assert!(why.contains("before it took the run") && why.contains("check the execution role"), "{why}");
    assert!(!why.contains("arn:") && !why.contains("123456789012"), "AWS's own words are for operators: {why}");
    tasks.launch(&id).await.unwrap();
    assert_eq!(tasks.why_unclaimed(&id).await, None, "one that is on its way may still take it");
}

#[tokio::test]
async fn no_room_waits_and_everything_else_says_what_to_do() {
    let (tasks, ecs) = ecs().await;
    for reason in ["RESOURCE:CPU", "RESOURCE:MEMORY", "Capacity is unavailable at this time."] {
        fail(&ecs, "RunTask", Fault::Failure(reason));
        let error = tasks.launch(&run()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Limit, "{reason}: {}", error.chain());
    }
    for (code, message) in [
        ("ThrottlingException", "Rate exceeded"),
        ("ClientException", "You've reached the limit on the number of tasks you can run concurrently"),
    ] {
        fail(&ecs, "RunTask", Fault::Error(code, message));
        assert_eq!(tasks.launch(&run()).await.unwrap_err().kind(), Kind::Limit, "{code}");
    }
    for (code, says) in [
        ("ClusterNotFoundException", "provisioning.aws.cluster"),
        ("AccessDeniedException", "role"),
        ("ExpiredTokenException", "credentials"),
        ("InvalidParameterException", "provisioning.aws"),
    ] {
        fail(&ecs, "RunTask", Fault::Error(code, "no such thing as arn:aws:iam::123456789012:role/x"));
        let error = tasks.launch(&run()).await.unwrap_err();
        assert_eq!(error.code(), Code::RunnerFailed);
        assert!(error.message().contains(code) && !error.message().contains("arn:"), "{}", error.message());
        assert!(error.chain().contains("role/x"), "operators are told: {}", error.chain());
        assert!(error.message().contains(says) && error.message().contains("RunTask"), "{}", error.message());
    }
    fail(&ecs, "RunTask", Fault::Failure("AGENT"));
    let error = tasks.launch(&run()).await.unwrap_err();
    assert!(error.code() == Code::RunnerFailed && error.message().contains("AGENT"), "{}", error.message());
    assert!(ecs.lock().unwrap().tasks.is_empty());
}

#[tokio::test]
async fn only_what_ecs_says_has_ended_is_dead() {
    let (tasks, ecs) = ecs().await;
    tasks.launch(&run()).await.unwrap();
    let arn = ecs.lock().unwrap().tasks[0].arn.clone();
    let noted = Timestamp::from_millis(1_795_000_000_000);
    let at = |task: &str| SupervisorLocation::Task { cluster: "runs".into(), task: task.to_owned(), noted };
    for (status, liveness) in [
        ("PROVISIONING", Liveness::Alive),
        ("PENDING", Liveness::Alive),
        ("RUNNING", Liveness::Alive),
        ("DEACTIVATING", Liveness::Alive),
        ("STOPPING", Liveness::Alive),
        ("DEPROVISIONING", Liveness::Dead),
        ("STOPPED", Liveness::Dead),
    ] {
        ecs.lock().unwrap().tasks[0].status = status;
        assert_eq!(tasks.probe(&at(&arn), noted).await, liveness, "{status}");
    }
    // ECS may not know a new task yet, and forgets those that ended long ago.
    assert_eq!(tasks.probe(&at("gone"), noted.plus(Duration::from_secs(30))).await, Liveness::Unknown);
    assert_eq!(tasks.probe(&at("gone"), noted.plus(BEHIND * 2)).await, Liveness::Dead);
    fail(&ecs, "DescribeTasks", Fault::Error("ServerException", "later"));
    assert_eq!(tasks.probe(&at("gone"), noted.plus(BEHIND * 2)).await, Liveness::Unknown);
    let elsewhere = SupervisorLocation::InProcess { holder: "x".into() };
    assert_eq!(tasks.probe(&elsewhere, noted).await, Liveness::Unknown);
}

#[tokio::test]
async fn a_task_knows_where_it_is_when_its_endpoint_says_so() {
    async fn endpoint(answer: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).await.unwrap();
            assert!(asked[..length].starts_with(b"GET /v4/abc/task HTTP/1.0\r\n"));
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        format!("http://{address}/v4/abc")
    }
    let noted = Timestamp::from_millis(1);
    let answer = "HTTP/1.0 200 OK\r\n\r\n{\"Cluster\":\"runs\",\"TaskARN\":\"arn:task\",\"Family\":\"f\"}";
    let place = here(&endpoint(answer.into()).await, noted).await;
    assert_eq!(place, Some(SupervisorLocation::Task { cluster: "runs".into(), task: "arn:task".into(), noted }));
    assert_eq!(here(&endpoint("HTTP/1.0 500 No\r\n\r\n{}".into()).await, noted).await, None);
    assert_eq!(here(&endpoint("HTTP/1.0 200 OK\r\n\r\n{}".into()).await, noted).await, None);
    assert_eq!(here("https://127.0.0.1/x", noted).await, None);
    assert_eq!(here("http://127.0.0.1:1/x", noted).await, None);
}
