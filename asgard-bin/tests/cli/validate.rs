//! Manifests: the shipped ones are fine, and broken ones are refused with the place.

use crate::program::{Place, repository};
use std::{fs, path::PathBuf};

fn shipped() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![repository("modules")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("service.yaml") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn the_shipped_manifests_are_valid() {
    let manifests = shipped();
    assert!(manifests.len() >= 2);
    let mut args = vec!["validate"];
    args.extend(manifests.iter().map(|path| path.to_str().unwrap()));
    let done = Place::new().run(&args);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(done.stdout.lines().count(), manifests.len());
    assert!(
        done.stdout.contains("service local-demo on local") && done.stdout.contains("token (secret)"),
        "{}",
        done.stdout
    );
}

const GOOD: &str = "\
id: thing
title: Thing
description: A thing.
cloud: local
connector: terraform
approval: auto
cost: { monthly_usd: 0 }
inputs: { type: object, properties: { size: { type: string } } }
outputs: { id: { description: Its id. } }
";

#[test]
fn broken_manifests_are_refused_with_the_place() {
    let place = Place::new();
    place.write("thing/main.tf", "output \"id\" { value = \"x\" }\n");
    let check = |text: &str| {
        place.write("thing/service.yaml", text);
        place.run(&["validate", "thing/service.yaml"])
    };
    assert_eq!(check(GOOD).code, 0, "{:?}", check(GOOD));
    for (from, to, said) in [
        ("connector: terraform", "connector: helm", "connector: There is no connector `helm`; allowed: terraform"),
        ("id: thing", "id: Thing", "line 1"),
        ("cloud: local\n", "", "missing field `cloud`"),
        ("approval: auto", "aproval: auto", "aproval"),
        ("type: object", "type: array", "inputs: Expected a JSON Schema with `type: object`"),
        ("size: {", "name: {", "`name` is given by Asgard"),
        ("title: Thing", "title: [", "line"),
    ] {
        let done = check(&GOOD.replace(from, to));
        assert_eq!(done.code, 1, "{to}: {done:?}");
        assert!(done.stderr.contains("thing/service.yaml: ") && done.stderr.contains(said), "{to}: {}", done.stderr);
    }
    place.write("empty/service.yaml", GOOD);
    let done = place.run(&["validate", "thing/service.yaml", "empty/service.yaml", "missing/service.yaml"]);
    assert_eq!(done.code, 1);
    for said in ["no Terraform files", "missing/service.yaml: ", "of 3 manifests cannot be used"] {
        assert!(done.stderr.contains(said), "{said}: {}", done.stderr);
    }
}
