//! Every kind of HTTP event, replayed against the function as Lambda's runtime would call it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that is surprised should fail where it is"
)]

use crate::support::{PASSWORD, Place, aws, event, invocation};
use asgard_lambda::http::Http;
use asgard_lib::{
    app::{
        Call,
        bootstrap::{self, FirstAdmin, Wins},
        keys::MintKey,
        projects::RegisterProject,
        requests::RequestResource,
    },
    aws::Aws,
    kernel::{Actor, Person, Role, SecretText, SignIn},
};
use lambda_http::request::LambdaRequest;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const FRONTS: [&str; 4] = ["rest_api", "http_api", "function_url", "load_balancer"];

fn function(place: &Place) -> Arc<Http> {
    Http::new(place.settings.clone())
}

async fn answer_within(http: &Arc<Http>, event: &Value, millis: u64) -> Value {
    let payload: LambdaRequest = serde_json::from_value(event.clone()).unwrap();
    let answer = Arc::clone(http).event(invocation(payload, millis)).await.unwrap();
    serde_json::to_value(answer).unwrap()
}

async fn answer(http: &Arc<Http>, event: &Value) -> Value {
    answer_within(http, event, 60_000).await
}

fn status(answer: &Value) -> i64 {
    answer["statusCode"].as_i64().unwrap()
}

fn header<'a>(answer: &'a Value, name: &str) -> &'a str {
    let found = answer["multiValueHeaders"][name][0].as_str().or_else(|| answer["headers"][name].as_str());
    found.unwrap_or_default()
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

/// The event of a front end, for another request.
fn aimed(front: &str, method: &str, path: &str, headers: &[(&str, &str)], sent: Option<&str>) -> Value {
    let mut event = event(front);
    for field in ["path", "rawPath"] {
        if event.get(field).is_some() {
            event[field] = path.into();
        }
    }
    match event["requestContext"].get("http") {
        Some(_) => event["requestContext"]["http"]["method"] = method.into(),
        None => event["httpMethod"] = method.into(),
    }
    if event["requestContext"].get("httpMethod").is_some() {
        event["requestContext"]["httpMethod"] = method.into();
    }
    for (name, value) in headers {
        event["headers"][*name] = (*value).into();
        if event.get("multiValueHeaders").is_some() {
            event["multiValueHeaders"][*name] = json!([value]);
        }
    }
    event["body"] = sent.map_or(Value::Null, Value::from);
    event
}

fn sign_in(front: &str, headers: &[(&str, &str)]) -> Value {
    let who = json!({"username": "admin", "password": PASSWORD}).to_string();
    let mut all = vec![("content-type", "application/json")];
    all.extend(headers);
    aimed(front, "POST", "/api/auth/login", &all, Some(&who))
}

#[tokio::test]
async fn every_front_end_reaches_the_same_routes_whatever_its_stage() {
    let place = Place::new(&[]).await;
    let http = function(&place);
    for front in FRONTS {
        let refused = answer(&http, &event(front)).await;
        assert_eq!(status(&refused), 401, "{front}: {refused}");
        assert_eq!(header(&refused, "content-type"), "application/problem+json", "{front}: {refused}");
        assert_eq!(body(&refused)["code"], "no-credential", "{front}");
        let healthy = answer(&http, &aimed(front, "GET", "/healthz", &[], None)).await;
        assert_eq!((status(&healthy), &healthy["body"]), (200, &json!("ok")), "{front}");
        let ready = answer(&http, &aimed(front, "GET", "/readyz", &[], None)).await;
        assert_eq!(status(&ready), 200, "{front}: {ready}");
    }
    // A REST API on a domain of its own has a stage and does not show it; an HTTP API shows a stage that has a name.
    let mut rest = event("rest_api");
    rest["requestContext"]["stage"] = Value::Null;
    assert_eq!(status(&answer(&http, &rest).await), 401);
    let mut named = event("http_api");
    named["requestContext"]["stage"] = "prod".into();
    named["rawPath"] = "/prod/api/auth/me".into();
    assert_eq!(status(&answer(&http, &named).await), 401);
    named["rawPath"] = "/product/api".into();
    assert_eq!(status(&answer(&http, &named).await), 404, "only a whole part of the path is the stage");
}

#[tokio::test]
async fn people_sign_in_and_the_cookie_comes_back() {
    let place = Place::new(&[]).await;
    for front in FRONTS {
        // Each time an environment that has served nothing yet.
        let http = function(&place);
        let signed = answer(&http, &sign_in(front, &[])).await;
        assert_eq!(status(&signed), 200, "{front}: {signed}");
        let token = body(&signed)["token"].as_str().unwrap().to_owned();
        let bearer = format!("Bearer {token}");
        let me = answer(&http, &aimed(front, "GET", "/api/auth/me", &[("authorization", &bearer)], None)).await;
        assert_eq!((status(&me), &body(&me)["user"]["username"]), (200, &json!("admin")), "{front}: {me}");

        let form = format!("username=admin&password={}", PASSWORD.replace(' ', "+"));
        let host = event(front)["headers"]
            .as_object()
            .unwrap()
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("host"))
            .unwrap()
            .1
            .clone();
        let origin = format!("https://{}", host.as_str().unwrap());
        let page = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", origin.as_str()),
            ("accept", "text/html"),
        ];
        let entered = answer(&http, &aimed(front, "POST", "/sign-in", &page, Some(&form))).await;
        assert_eq!(status(&entered), 303, "{front}: {entered}");
        let cookie = entered["cookies"][0].as_str().unwrap_or_else(|| header(&entered, "set-cookie"));
        assert!(cookie.starts_with("asgard_session=") && cookie.contains("; Secure"), "{front}: {entered}");
        let sent = cookie.split(';').next().unwrap();
        let mut home = aimed(front, "GET", "/projects", &[("accept", "text/html")], None);
        if home.get("rawPath").is_some() {
            home["cookies"] = json!(["other=1", sent]);
        } else {
            home["headers"]["cookie"] = format!("other=1; {sent}").into();
        }
        let page = answer(&http, &home).await;
        assert_eq!(status(&page), 200, "{front}: {page}");
        assert!(page["body"].as_str().unwrap().contains("<html"), "{front}");
    }
}

#[tokio::test]
async fn encoded_bodies_are_read_and_pages_come_as_text() {
    let place = Place::new(&[]).await;
    let http = function(&place);
    let encoded =
        data_encoding::BASE64.encode(json!({"username": "admin", "password": PASSWORD}).to_string().as_bytes());
    for front in FRONTS {
        let mut sent = sign_in(front, &[]);
        (sent["body"], sent["isBase64Encoded"]) = (encoded.clone().into(), true.into());
        assert_eq!(status(&answer(&http, &sent).await), 200, "{front}");
        sent["body"] = "this is no base64 !".into();
        let refused = answer(&http, &sent).await;
        assert_eq!((status(&refused), &body(&refused)["field"]), (400, &json!("body")), "{front}: {refused}");
        let icon = answer(&http, &aimed(front, "GET", "/icon.svg", &[], None)).await;
        assert!(icon["body"].as_str().unwrap().contains("<svg"), "{front}: {icon}");
    }
}

#[tokio::test]
async fn the_throttle_counts_the_address_that_the_front_end_saw() {
    for front in FRONTS {
        let place = Place::new(&[]).await;
        let http = function(&place);
        // The client claims another address each time.
        let mut last = Value::Null;
        // Twice as many as are allowed in a minute, because a minute may end in between.
        for n in 0..90 {
            let mut wrong = sign_in(front, &[]);
            wrong["body"] =
                json!({"username": format!("nobody{n}"), "password": "wrong wrong wrong"}).to_string().into();
            let claimed = format!("203.0.113.{n}, 198.51.100.7");
            for name in ["x-forwarded-for", "X-Forwarded-For"] {
                if wrong["headers"].get(name).is_some() {
                    wrong["headers"][name] = claimed.clone().into();
                }
                if wrong["multiValueHeaders"].get(name).is_some() {
                    wrong["multiValueHeaders"][name] = json!([claimed]);
                }
            }
            last = answer(&http, &wrong).await;
            if status(&last) == 429 {
                break;
            }
        }
        assert_eq!(status(&last), 429, "{front}: a claimed address got around the throttle: {last}");
    }
}

#[tokio::test]
async fn an_event_that_is_no_request_is_refused_and_never_ends_the_process() {
    let place = Place::new(&[]).await;
    let http = function(&place);
    let refused = |answer: &Value, field: &str| {
        assert_eq!((status(answer), &body(answer)["field"]), (400, &json!(field)), "{answer}");
    };
    for front in FRONTS {
        for host in ["a b", "x:99999", "[::1", "a/b", "user@host", "xn--"] {
            let name = if event(front)["headers"].get("Host").is_some() { "Host" } else { "host" };
            refused(&answer(&http, &aimed(front, "GET", "/", &[(name, host)], None)).await, "host");
        }
        let long = format!("/{}", "a".repeat(70_000));
        refused(&answer(&http, &aimed(front, "GET", &long, &[], None)).await, "path");
        for path in ["", "a", "//", "/%", "/\u{e9} <>\"{}|^`\\", "/a\u{0}b", ":99999/x"] {
            let got = answer(&http, &aimed(front, "GET", path, &[], None)).await;
            assert!([200, 303, 401, 404].contains(&status(&got)), "{front} {path:?}: {got}");
        }
        for proto in ["javascript", "ht tp", ""] {
            let got = answer(&http, &aimed(front, "GET", "/healthz", &[("x-forwarded-proto", proto)], None)).await;
            assert_eq!(status(&got), 200, "{front} {proto:?}");
        }
    }
    for query in ["a=\"b\"", "<>", "a= b\u{e9}", "%", "#x", "{}"] {
        let mut odd = aimed("http_api", "GET", "/healthz", &[], None);
        odd["rawQueryString"] = query.into();
        assert_eq!(status(&answer(&http, &odd).await), 200, "{query}");
    }
    let mut long = event("http_api");
    long["rawQueryString"] = "q".repeat(70_000).into();
    refused(&answer(&http, &long).await, "query");
    for nonsense in [json!(null), json!([]), json!({}), json!({"Records": []}), json!({"work": "jobs"}), json!("x")] {
        let error = serde_json::from_value::<LambdaRequest>(nonsense).unwrap_err().to_string();
        assert!(error.contains("API Gateway"), "{error}");
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_answered_in_time_says_so_and_may_be_sent_again() {
    let place = Place::new(&[]).await;
    let http = function(&place);
    let late = answer_within(&http, &event("http_api"), 1_000).await;
    assert!([503, 504].contains(&status(&late)), "{late}");
    assert!(!header(&late, "retry-after").is_empty(), "{late}");
    assert_eq!(status(&answer(&http, &event("http_api")).await), 401, "and the next is served");
}

#[tokio::test]
async fn nothing_is_opened_without_need_and_a_failure_is_not_remembered() {
    let place = Place::new(&[]).await;
    let database = place.folder.path().join("asgard.db");
    let away = place.folder.path().join("away.db");
    std::fs::rename(&database, &away).unwrap();
    let http = function(&place);
    assert_eq!(status(&answer(&http, &aimed("http_api", "GET", "/healthz", &[], None)).await), 200);
    assert_eq!(status(&answer(&http, &event("http_api")).await), 500);
    std::fs::rename(&away, &database).unwrap();
    assert_eq!(status(&answer(&http, &event("http_api")).await), 401);
}

#[tokio::test]
async fn the_admins_password_is_fetched_for_the_first_sign_in_and_for_nothing_else() {
    let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:admin-AbCdEf";
    let mut place = Place::new(&[("ASGARD_ADMIN_PASSWORD_SECRET_ARN", arn)]).await;
    let gone = json!({"__type": "ResourceNotFoundException", "message": "no such secret"});
    let (sdk, asked) = aws(Duration::ZERO, &[(400, gone), (200, json!({"ARN": arn, "SecretString": PASSWORD}))]).await;
    place.settings.aws = Aws::with(sdk);
    let http = function(&place);
    assert_eq!(status(&answer(&http, &aimed("http_api", "GET", "/readyz", &[], None)).await), 200);
    assert_eq!(status(&answer(&http, &event("http_api")).await), 401);
    assert!(asked.lock().unwrap().is_empty(), "nobody has signed in");

    let refused = answer(&http, &sign_in("http_api", &[])).await;
    assert_eq!((status(&refused), &body(&refused)["code"]), (503, &json!("not-ready")), "{refused}");
    assert_eq!(header(&refused, "retry-after"), "5");
    assert!(!refused.to_string().contains("secret:admin"), "whoever signs in need not know where it is: {refused}");
    for _ in 0..2 {
        assert_eq!(status(&answer(&http, &sign_in("http_api", &[])).await), 200);
    }
    assert_eq!(asked.lock().unwrap().len(), 2, "once it is had, it is not fetched again");
}

#[tokio::test]
async fn a_commit_that_appends_a_job_wakes_the_function_for_it_before_the_answer() {
    let mut place = Place::new(&[]).await;
    let asked = place.waking(Duration::ZERO).await;
    let http = function(&place);
    let (_, request) = ask(&http).await;
    assert_eq!(asked.lock().unwrap().len(), 1, "once, and before the answer");
    let (head, body) = asked.lock().unwrap()[0].clone();
    assert!(head.starts_with("POST /2015-03-31/functions/asgard-events/invocations"), "{head}");
    assert!(head.to_ascii_lowercase().contains("x-amz-invocation-type: event"), "{head}");
    let sent: Value = serde_json::from_str(&body).unwrap();
    let jobs = sent["jobs"].as_array().unwrap();
    assert!(sent["work"] == "jobs" && jobs.len() == 1 && jobs[0].as_str().unwrap().starts_with("job_"), "{body}");
    assert!(request.starts_with("req_"), "{request}");
}

#[tokio::test]
async fn waking_is_bounded_and_its_failure_is_not_the_callers() {
    let mut place = Place::new(&[]).await;
    let asked = place.waking(Duration::from_secs(3600)).await;
    let http = function(&place);
    let began = tokio::time::Instant::now();
    let (status, _) = ask(&http).await;
    assert_eq!(status, 202);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(!asked.lock().unwrap().is_empty(), "it was asked");
}

/// Signs in, registers a project and asks for something in it. The status of the last, and the request's id.
async fn ask(http: &Arc<Http>) -> (i64, String) {
    let token = body(&answer(http, &sign_in("http_api", &[])).await)["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let post = async |path: &str, sent: Value| {
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        answer(http, &aimed("http_api", "POST", path, &headers, Some(&sent.to_string()))).await
    };
    let project = json!({"name": "Pilot", "owner_email": "admin@localhost.example", "manager_email": "bob@corp.example", "group": "g"});
    let project = post("/api/projects", project).await;
    assert_eq!(status(&project), 201, "{project}");
    let id = body(&project)["project_id"].as_str().unwrap().to_owned();
    let asked = post("/api/requests", json!({"project_id": id, "service": "random-secret", "name": "token"})).await;
    let answered = body(&asked);
    (status(&asked), answered["request"]["request_id"].as_str().unwrap_or_default().to_owned())
}

/// A project's key, and a request in the project that nobody works on.
async fn key_and_request(place: &Place) -> (String, Value) {
    let runtime = place.open().await;
    let (app, world) = (runtime.app(), runtime.app().world());
    let email = "ann@corp.example".parse().unwrap();
    let ann = Actor::Human { person: Person::verified(world.id(), email), role: Role::Member, sign_in: SignIn::Host };
    let call = Call::by(ann, world.id());
    let project =
        json!({"name": "Pilot", "owner_email": "ann@corp.example", "manager_email": "bob@corp.example", "group": "g"});
    let project: RegisterProject = serde_json::from_value(project).unwrap();
    let project = app.run(&call, &project).await.unwrap().project_id;
    let mint: MintKey = serde_json::from_value(json!({"project_id": project, "name": "agent"})).unwrap();
    let key = app.run(&call, &mint).await.unwrap().key.unwrap();
    let ask = json!({"project_id": project, "service": "random-secret", "name": "token"});
    let ask: RequestResource = serde_json::from_value(ask).unwrap();
    let request = serde_json::to_value(&app.run(&call, &ask).await.unwrap().request.request_id).unwrap();
    runtime.close().await;
    (key, request)
}

fn tool(key: &str, name: &str, arguments: &Value) -> Value {
    let message =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}});
    let bearer = format!("Bearer {key}");
    let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
    aimed("http_api", "POST", "/mcp", &headers, Some(&message.to_string()))
}

#[tokio::test]
async fn nothing_runs_after_an_answer() {
    let place = Place::new(&[("ASGARD_LAMBDA_SURFACE", "mcp")]).await;
    let (key, _) = key_and_request(&place).await;
    let http = function(&place);
    assert_eq!(status(&answer(&http, &tool("asg_x", "list_services", &json!({}))).await), 401);
    assert_eq!(status(&answer(&http, &event("http_api")).await), 404, "REST is the other function's");
    let listed = answer(&http, &tool(&key, "list_services", &json!({}))).await;
    assert!(body(&listed)["result"]["structuredContent"].is_object(), "{listed}");
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

/// An HTTP API tells an address that ends with a slash from one that does not, and sends what has no route of its own to the other
/// function, which answers no MCP.
#[tokio::test]
async fn every_address_of_mcp_has_a_route_to_the_function_that_answers_it() {
    let contract: Value = serde_json::from_str(include_str!("../../infra/contract.json")).unwrap();
    let place = Place::new(&[("ASGARD_LAMBDA_SURFACE", "mcp")]).await;
    let (key, _) = key_and_request(&place).await;
    let http = function(&place);
    for path in ["/mcp", "/mcp/"] {
        assert_eq!(contract["routes"][format!("ANY {path}")], "Mcp", "{path}");
        for front in FRONTS {
            let refused = answer(&http, &aimed(front, "POST", path, &[], None)).await;
            assert_eq!(status(&refused), 401, "{path} behind {front}: {refused}");
        }
        let mut call = tool(&key, "list_services", &json!({}));
        call["rawPath"] = path.into();
        let listed = answer(&http, &call).await;
        assert!(body(&listed)["result"]["structuredContent"].is_object(), "{path}: {listed}");
    }
}

#[tokio::test]
async fn a_wait_ends_with_an_answer_before_the_invocation_does() {
    let place = Place::new(&[]).await;
    let (key, request) = key_and_request(&place).await;
    let http = function(&place);
    let began = tokio::time::Instant::now();
    let wait = tool(&key, "get_request", &json!({"request_id": request, "wait_s": 20}));
    let waited = answer_within(&http, &wait, 7_000).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let got = body(&waited)["result"]["structuredContent"]["status"].clone();
    assert!(got.is_string() && got != "fulfilled", "{waited}");
}

#[tokio::test]
async fn behind_a_cdn_a_function_url_is_called_by_its_own_name_and_nothing_else_is_taken_for_it() {
    let place = Place::new(&[("ASGARD_PUBLIC_URL", "https://asgard.example.com")]).await;
    let (key, _) = key_and_request(&place).await;
    let http = function(&place);
    let mut call = tool(&key, "list_services", &json!({}));
    assert_eq!(status(&answer(&http, &call).await), 403, "the API's own name is not the public one");
    call["headers"]["host"] = "asgard.example.com".into();
    assert_eq!(status(&answer(&http, &call).await), 200);
    // What the front end says goes by the event; what a client says of itself, by nothing.
    for header in ["x-forwarded-host", "domainName"] {
        call["headers"]["host"] = "u1.lambda-url.eu-west-1.on.aws".into();
        call["headers"][header] = "u1.lambda-url.eu-west-1.on.aws".into();
        assert_eq!(status(&answer(&http, &call).await), 403, "{header}");
    }
    call["requestContext"]["domainName"] = "u1.lambda-url.eu-west-1.on.aws".into();
    assert_eq!(status(&answer(&http, &call).await), 200);
    call["headers"]["host"] = "evil.example".into();
    assert_eq!(status(&answer(&http, &call).await), 403);
}

#[tokio::test]
async fn a_password_that_the_admin_chose_stays_until_another_one_is_configured() {
    let place = Place::new(&[]).await;
    let signs_in = async |password: &str, configured: &str| {
        let mut settings = place.settings.clone();
        settings.loaded.config.people.admin_password = Some(SecretText::new(configured));
        // An environment that has served nothing yet.
        let http = Http::new(settings);
        let mut event = sign_in("http_api", &[]);
        event["body"] = json!({"username": "admin", "password": password}).to_string().into();
        status(&answer(&http, &event).await)
    };
    assert_eq!(signs_in(PASSWORD, PASSWORD).await, 200);
    let runtime = place.open().await;
    let chosen = "chosen in the dashboard";
    bootstrap::set_password(runtime.app(), &"admin".parse().unwrap(), &SecretText::new(chosen)).await.unwrap();
    assert_eq!((signs_in(chosen, PASSWORD).await, signs_in(PASSWORD, PASSWORD).await), (200, 401));
    let other = "another configured one";
    assert_eq!((signs_in(other, other).await, signs_in(chosen, other).await), (200, 401));
    // What a server does at its start is an operator's doing: it wins whatever the admin chose.
    bootstrap::set_password(runtime.app(), &"admin".parse().unwrap(), &SecretText::new(chosen)).await.unwrap();
    let reset = bootstrap::first_admin_with(runtime.app(), Some(&SecretText::new(other)), Wins::Always).await.unwrap();
    assert!(matches!(reset, FirstAdmin::Reset(_)));
    assert_eq!(signs_in(other, other).await, 200);
    runtime.close().await;
}
