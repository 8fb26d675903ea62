//! The client against a running server.

use crate::program::{Place, Server, password_in};
use serde_json::{Value, json};

/// A server, and a user token of its admin in the environment.
fn signed_in() -> (Place, Server, String) {
    let place = Place::new();
    let mut server = place.serve();
    let password = password_in(&server.wait_for("password: "));
    let session = server.login("admin", &password).unwrap();
    let (status, token) = server.post("/api/auth/tokens", Some(&session), &json!({"name": "cli"}));
    assert_eq!(status, 201, "{token}");
    let token = token["token"].as_str().unwrap().to_owned();
    let place = place.with("ASGARD_URL", &server.url()).with("ASGARD_TOKEN", &token);
    (place, server, token)
}

#[test]
fn tools_are_listed_and_called() {
    let (place, mut server, token) = signed_in();
    let done = place.run(&["tools"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    assert!(done.stdout.starts_with("NAME "), "{}", done.stdout);
    for tool in ["list_services", "request_resource", "get_secret"] {
        assert!(done.stdout.lines().any(|line| line.starts_with(&format!("{tool} "))), "{tool}: {}", done.stdout);
    }
    let done = place.run(&["tools", "-o", "json"]);
    let tools: Value = serde_json::from_str(&done.stdout).unwrap();
    assert!(tools.as_array().unwrap().iter().all(|tool| tool["inputSchema"]["type"] == "object"));

    let done = place.run(&["call", "list_services"]);
    assert!(done.code == 0 && done.stdout.contains("local-demo"), "{done:?}");
    let done = place.run(&[
        "call",
        "register_project",
        "--arg",
        "name=Pilot",
        "--arg",
        "owner_email=ann@corp.example",
        "--arg",
        "manager_email=bob@corp.example",
        "--arg",
        "group=platform",
        "--arg",
        "budget_usd=100",
        "-o",
        "json",
    ]);
    assert_eq!(done.code, 0, "{done:?}");
    let project: Value = serde_json::from_str(&done.stdout).unwrap();
    let id = project["project_id"].as_str().unwrap();
    assert_eq!(project["budget_usd"], json!(100), "the number travelled as one: {project}");
    let done =
        place.run_with(&["call", "project_get", "--json", "-", "-o", "yaml"], &json!({"project_id": id}).to_string());
    assert!(done.code == 0 && done.stdout.contains(&format!("project_id: {id}")), "{done:?}");
    place.write("input.json", &json!({"project_id": id}).to_string());
    let done = place.run(&["call", "project_get", "--json", "input.json"]);
    assert!(done.code == 0 && done.stdout.lines().any(|line| line.starts_with("project_id ")), "{done:?}");
    let done = place.run(&["call", "list_projects"]);
    assert!(done.stdout.contains(id) && done.stdout.contains("Pilot"), "{done:?}");
    assert!(!server.log().contains(&token), "the credential is not logged");
    server.terminate();
}

#[test]
fn failures_say_what_to_do_and_have_their_codes() {
    let (place, mut server, token) = signed_in();
    for (args, code, said) in [
        (
            &["call", "project_get", "--arg", "project_id=proj-1999-0001"][..],
            1,
            "project_get: There is no such project",
        ),
        (&["call", "register_project", "--json", "{\"name\": 1}"], 1, "name"),
        (&["call", "no_such_tool", "--arg", "a=b"], 2, "no tool `no_such_tool`"),
        (&["call", "no_such_tool"], 1, "no_such_tool"),
        (&["call", "project_get", "--arg", "id=x"], 2, "no argument `id`; it takes project_id"),
        (&["call", "project_get", "--arg", "project_id"], 2, "NAME=VALUE"),
        (&["call", "project_get", "--json", "{"], 2, "--json is not JSON"),
        (&["call", "project_get", "--json", "missing.json"], 2, "--json missing.json"),
        (&["tools", "--url", "ftp://x"], 2, "is not the address of a server"),
        (&["tools", "--url", "http://127.0.0.1:1"], 3, "cannot be reached"),
        (&["tools", "--token-file", "missing"], 2, "--token-file missing"),
    ] {
        let done = place.run(args);
        assert!(done.code == code && done.stderr.contains(said) && done.stdout.is_empty(), "{args:?}: {done:?}");
        assert!(!done.stderr.contains(&token), "{args:?} shows the credential");
    }
    place.write("bad.token", "asg_pat_nonsense\n");
    let done = place.run(&["tools", "--token-file", "bad.token"]);
    assert!(done.code == 3 && done.stderr.contains("does not accept the credential"), "{done:?}");
    let place = place.with("ASGARD_TOKEN", "");
    let done = place.run(&["tools"]);
    assert!(
        done.code == 3 && done.stderr.contains("needs a credential") && done.stderr.contains("ASGARD_TOKEN"),
        "{done:?}"
    );
    place.write("good.token", &format!("{token}\n"));
    assert_eq!(place.run(&["tools", "--token-file", "good.token"]).code, 0);
    let place = place.with("ASGARD_TOKEN_FILE", "good.token");
    assert_eq!(place.run(&["tools"]).code, 0);
    let done = place.with("ASGARD_TOKEN", "asg_pat_other").run(&["tools"]);
    assert!(done.code == 2 && done.stderr.contains("are both set"), "{done:?}");
    server.terminate();
}
