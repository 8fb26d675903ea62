use super::*;
use serde_json::json;

fn basis(module: &str, engine: &str, serial: u64, variables: Value, salt: u8) -> Basis {
    let state = json!({"version": 4, "serial": serial, "lineage": "l"}).to_string();
    let state = (serial > 0).then_some(state.as_bytes());
    Basis::of(module, engine, state, variables.as_object().unwrap(), &[salt; 32]).unwrap()
}

#[test]
fn a_plan_fits_only_what_it_was_made_from() {
    let made = basis("m", "terraform 1.11.4", 3, json!({"a": {"x": 1, "y": 2}, "b": "two"}), 7);
    assert_eq!(
        made.differs(&basis("m", "terraform 1.11.4", 3, json!({"b": "two", "a": {"y": 2, "x": 1}}), 7)),
        None,
        "order is nothing"
    );
    for (now, word) in [
        (basis("n", "terraform 1.11.4", 3, json!({"a": {"x": 1, "y": 2}, "b": "two"}), 7), "module"),
        (basis("m", "terraform 1.12.0", 3, json!({"a": {"x": 1, "y": 2}, "b": "two"}), 7), "1.12.0"),
        (basis("m", "terraform 1.11.4", 4, json!({"a": {"x": 1, "y": 2}, "b": "two"}), 7), "serial 3 to 4"),
        (basis("m", "terraform 1.11.4", 0, json!({"a": {"x": 1, "y": 2}, "b": "two"}), 7), "serial 3 to 0"),
        (basis("m", "terraform 1.11.4", 3, json!({"a": {"x": 1, "y": 3}, "b": "two"}), 7), "inputs"),
    ] {
        let why = made.differs(&now).unwrap_or_default();
        assert!(why.contains(word), "{word}: {why}");
        assert_ne!(made.digest(b"plan", None).unwrap(), now.digest(b"plan", None).unwrap());
    }
    let salted = basis("m", "terraform 1.11.4", 3, json!({"a": {"x": 1, "y": 2}, "b": "two"}), 8);
    assert_ne!(
        made.digest(b"p", None).unwrap(),
        salted.digest(b"p", None).unwrap(),
        "equal inputs cannot be recognised"
    );
    let digests: BTreeSet<_> = [(&b"p"[..], None), (b"q", None), (b"p", Some(&b"l"[..]))]
        .into_iter()
        .map(|(p, l)| made.digest(p, l).unwrap())
        .collect();
    assert_eq!(digests.len(), 3, "the plan and the lock file count");
}

#[test]
fn a_pack_comes_back_as_it_went() {
    let secrets: BTreeSet<String> = ["s3cret".to_owned()].into();
    let pack = Pack::new(&[9; 32], basis("m", "e", 1, json!({}), 9), secrets.clone(), b"\0plan\xff", Some(b"lock"));
    let bytes = pack.bytes().unwrap();
    let read = Pack::read(&bytes).unwrap();
    assert_eq!(read.plan().unwrap().as_slice(), b"\0plan\xff");
    assert_eq!(read.lock().unwrap().unwrap().as_slice(), b"lock");
    assert_eq!(
        (read.salt().unwrap(), &read.secrets, read.digest().unwrap()),
        ([9; 32], &secrets, pack.digest().unwrap())
    );
    assert!(read.basis == pack.basis);
    for broken in [&bytes[..bytes.len() - 1], b"{}", b""] {
        assert!(Pack::read(broken).is_err());
    }
}

#[test]
fn a_summary_holds_addresses_and_actions() {
    let change = |address: &str, actions: Value| json!({"address": address, "mode": "managed", "change": {"actions": actions, "after": {"v": "value"}}});
    let shown = json!({"resource_changes": [
        change("a.c", json!(["create"])), change("a.u", json!(["update"])), change("a.d", json!(["delete"])), change("a.f", json!(["forget"])),
        change("a.r1", json!(["delete", "create"])), change("a.r2", json!(["create", "delete"])), change("a.n", json!(["no-op"])),
        {"address": "a.i", "mode": "managed", "change": {"actions": ["no-op"], "importing": {"id": "x"}}},
        {"address": "data.x", "mode": "data", "change": {"actions": ["read"]}},
        change("a[\"planted-secret\"]", json!(["create"])),
    ], "output_changes": {"o": {"actions": ["no-op"]}}});
    let redactor = Redactor::new(["planted-secret"]);
    let found = summary(RunOp::Plan, &shown, &redactor, "d".into()).unwrap();
    assert_eq!((found.create, found.update, found.replace, found.delete, found.outputs_changed), (2, 2, 2, 2, false));
    let addresses: Vec<_> = found.changes.iter().map(|change| change.address.as_str()).collect();
    assert_eq!(addresses, ["a.d", "a.f", "a.r1", "a.r2", "a.u", "a.i", "a.c", "a[\"(secret)\"]"]);
    assert!(!serde_json::to_string(&found).unwrap().contains("value"));

    let outputs =
        summary(RunOp::Plan, &json!({"output_changes": {"o": {"actions": ["create"]}}}), &redactor, String::new())
            .unwrap();
    assert!(outputs.outputs_changed && !outputs.is_empty());
    assert!(
        summary(RunOp::Plan, &json!({"resource_changes": [change("a", json!(["explode"]))]}), &redactor, String::new())
            .is_err()
    );
    let many = json!({"resource_changes": (0..300).map(|n| change(&format!("a.b[{n}]"), json!(["create"]))).collect::<Vec<_>>()});
    let many = summary(RunOp::Plan, &many, &redactor, String::new()).unwrap();
    assert_eq!((many.create, many.changes.len()), (300, PlanSummary::MAX_CHANGES));
}
