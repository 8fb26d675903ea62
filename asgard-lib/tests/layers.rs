//! Who may use whom. Reads the `crate::` paths of every source file and compares them with the map in
//! docs/ARCHITECTURE.md; an arrow that is not in the map fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may stop at the first thing that is wrong, and reads where its peers are from the environment"
)]

mod source;

use source::{Source, sources};
use std::collections::BTreeMap;

/// A layer and the layers that it may name. `error` is everybody's.
const MAP: &[(&str, &[&str])] = &[
    ("kernel", &[]),
    ("logging", &["config"]),
    ("domain", &["kernel"]),
    ("ports", &["kernel", "domain"]),
    ("aws", &["kernel"]),
    ("config", &["kernel", "domain"]),
    ("app", &["kernel", "domain", "ports", "config"]),
    ("backends", &["kernel", "domain", "ports", "aws"]),
    // Adapters that execute runs drive them through the application (`app::runs::ClaimedRun`).
    ("adapters", &["kernel", "domain", "ports", "config", "app", "aws"]),
    ("http", &["kernel", "domain", "ports", "config", "app"]),
    ("contract", &["kernel", "domain", "ports", "config", "app", "backends", "adapters", "http"]),
    ("runtime", &["kernel", "domain", "ports", "config", "app", "backends", "adapters", "http", "aws"]),
];

/// The layers that a text names through `crate::layer` or `crate::{layer::...}`, in code.
fn named(code: &str) -> Vec<String> {
    named_below(code, "crate::")
}

/// The same for the modules below any path.
fn named_below(code: &str, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(path) {
        let rest = &code[at + path.len()..];
        let ident = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut start) = (0, true);
            for (i, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    c if c.is_whitespace() => {}
                    _ if depth == 0 && start => {
                        found.push(ident(&group[i..]));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            found.push(ident(rest));
        }
    }
    found
}

#[test]
fn every_arrow_is_in_the_map() {
    let map: BTreeMap<&str, &[&str]> = MAP.iter().copied().collect();
    let files = sources("");
    assert!(files.len() > 50, "the sources were not found");
    let mut wrong = Vec::new();
    let mut arrows = 0;
    for Source { name, code } in &files {
        if name == "lib.rs" || name == "error.rs" {
            continue;
        }
        let layer = match name.as_str() {
            // A whole Asgard for the tests of embedders, who get it with the contract suite.
            "http/testkit.rs" => "contract",
            _ => name.split(['/', '.']).next().unwrap_or_default(),
        };
        let Some(allowed) = map.get(layer) else {
            wrong.push(format!("{name} belongs to no layer of the map"));
            continue;
        };
        for target in named(code).iter().filter(|target| map.contains_key(target.as_str()) && *target != layer) {
            arrows += 1;
            if !allowed.contains(&target.as_str()) {
                wrong.push(format!("{name} uses {target}, and {layer} may not"));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(arrows > 100, "only {arrows} arrows were seen; is the reader broken?");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A page reads and acts through operations. Widgets know neither the frame nor the pages, and the frame knows no page.
#[test]
fn the_dashboard_uses_the_application_and_its_own_parts_in_one_direction() {
    let files = sources("http/dashboard");
    let mut wrong = Vec::new();
    let mut parts = BTreeMap::new();
    for Source { name, code } in &files {
        let place = name.trim_start_matches("http/dashboard/");
        let part = place.split(['/', '.']).next().unwrap_or_default();
        *parts.entry(part).or_insert(0) += 1;
        for layer in
            named(code).iter().filter(|layer| !["app", "domain", "error", "http", "kernel"].contains(&layer.as_str()))
        {
            wrong.push(format!("{name} uses {layer}"));
        }
        for call in [".store()", ".vault()", ".sealer()", ".runner()", ".secrets()"] {
            if code.contains(call) {
                wrong.push(format!("{name} goes around the operations with {call}"));
            }
        }
        let forbidden: &[&str] = match part {
            "widgets" => &["frame", "pages"],
            "frame" => &["pages"],
            "pages" => &[],
            other => panic!("{name}: there is no part of the dashboard called {other}"),
        };
        for target in named_below(code, "dashboard::").iter().filter(|target| forbidden.contains(&target.as_str())) {
            wrong.push(format!("{name} uses {target}, and {part} may not"));
        }
    }
    assert!(parts.len() == 3 && parts.values().all(|files| *files > 3), "the parts were not found: {parts:?}");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What decides the order of events besides the world's port. A simulation could not repeat a course of events that hangs on it.
const BEHIND_THE_WORLD: &[(&str, &str)] = &[
    ("tokio::spawn(", "World::spawn"),
    ("task::spawn", "World::spawn"),
    ("JoinSet", "ports::world::Tasks"),
    ("LocalSet", "World::spawn"),
    ("spawn_blocking(", "World::compute"),
    ("time::sleep(", "World::sleep"),
    ("time::timeout(", "World::timeout"),
    ("time::interval(", "World::sleep"),
    ("thread::", "World::compute"),
    ("HashMap", "BTreeMap"),
    ("HashSet", "BTreeSet"),
];

#[test]
fn the_core_waits_and_runs_through_its_world() {
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for Source { name, code } in &sources("") {
        let layer = name.split(['/', '.']).next().unwrap_or_default();
        let core = matches!(layer, "kernel" | "domain" | "ports" | "app");
        if !core || name.starts_with("ports/world") {
            continue;
        }
        looked_at += 1;
        let lines: Vec<&str> = code.lines().filter(|line| !line.trim().is_empty()).collect();
        for (at, line) in lines.iter().enumerate() {
            for (banned, instead) in BEHIND_THE_WORLD {
                if line.contains(banned) {
                    wrong.push(format!("{name} uses `{banned}`: use {instead}"));
                }
            }
            // Without it, tokio begins with a branch of its own choice.
            let biased = lines.get(at + 1).is_some_and(|next| next.trim() == "biased;");
            if line.contains("select! {") && !biased {
                wrong.push(format!("{name} has a select! that is not biased"));
            }
        }
    }
    assert!(looked_at > 80, "only {looked_at} files were seen");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Folders whose modules use each other in one direction only.
const WITHOUT_CIRCLES: &[&str] = &["adapters", "app/runs", "config", "http", "ports"];

/// Every path that code names through `crate::` or `super::`, its groups taken apart.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let first = code[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':');
            if first {
                let rest: Vec<char> = code[at + start.len()..].chars().take(4000).collect();
                branch(&rest, 0, &[start.trim_end_matches(':').to_owned()], &mut found);
            }
        }
    }
    found
}

/// Reads one branch of a tree of paths, and returns where it ends.
fn branch(text: &[char], mut at: usize, before: &[String], found: &mut Vec<Vec<String>>) -> usize {
    if text.get(at) == Some(&'{') {
        at += 1;
        loop {
            while text.get(at).is_some_and(|c| c.is_whitespace() || *c == ',') {
                at += 1;
            }
            match text.get(at) {
                Some('}') | None => return at + 1,
                Some(_) => at = branch(text, at, before, found),
            }
        }
    }
    let name: String = text.iter().skip(at).take_while(|c| c.is_alphanumeric() || **c == '_').collect();
    at += name.chars().count().max(1);
    let path: Vec<String> = before.iter().cloned().chain([name]).collect();
    if text.get(at) == Some(&':') && text.get(at + 1) == Some(&':') {
        return branch(text, at + 2, &path, found);
    }
    found.push(path);
    at
}

/// The arrows between the modules of a folder, with a file for each.
fn arrows(folder: &str) -> BTreeMap<(String, String), String> {
    let base: Vec<String> = folder.split('/').map(str::to_owned).collect();
    let (files, mut arrows) = (sources(""), BTreeMap::new());
    for Source { name, code } in &files {
        let own: Vec<String> = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if own.len() <= base.len() || own[..base.len()] != base {
            continue;
        }
        for path in paths(code) {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let root = if ups == 0 { &[][..] } else { &own[..own.len() - ups] };
            let full: Vec<&String> = root.iter().chain(&path[ups.max(1)..]).collect();
            let inside = full.len() > base.len() && full.iter().zip(&base).all(|(a, b)| *a == b);
            let Some(target) = full.get(base.len()).filter(|_| inside) else { continue };
            let module = files.iter().any(|Source { name: file, .. }| {
                let module = format!("{folder}/{target}");
                *file == format!("{module}.rs") || file.starts_with(&format!("{module}/"))
            });
            if module && **target != own[base.len()] {
                arrows.insert((own[base.len()].clone(), (*target).clone()), name.clone());
            }
        }
    }
    arrows
}

#[test]
fn modules_of_a_folder_have_no_circles() {
    for folder in WITHOUT_CIRCLES {
        let arrows = arrows(folder);
        assert!(!arrows.is_empty(), "no arrow was seen in {folder}; is the reader broken?");
        let mut left: std::collections::BTreeSet<&String> = arrows.keys().flat_map(|(from, to)| [from, to]).collect();
        // Whoever uses nothing that is left goes; what cannot go is in a circle or leads to one.
        while let Some(free) =
            left.iter().find(|module| !arrows.keys().any(|(from, to)| from == **module && left.contains(to))).copied()
        {
            left.remove(free);
        }
        let circle: Vec<String> = arrows
            .iter()
            .filter(|((from, to), _)| left.contains(from) && left.contains(to))
            .map(|((from, to), file)| format!("{from} uses {to} in {file}"))
            .collect();
        assert!(circle.is_empty(), "a circle among the modules of {folder}:\n{}", circle.join("\n"));
    }
}

/// Folders whose modules stand in an order: each uses only those before it. A new area is put where it belongs.
const IN_ORDER: &[(&str, &[&str])] = &[
    (
        "domain",
        &[
            "change",
            "tier",
            "target",
            "service",
            "secret",
            "credential",
            "person",
            "job",
            "run",
            "lease",
            "project",
            "resource",
            "policy",
            "request",
            "access",
            "audit",
        ],
    ),
    (
        "app",
        &[
            "counters",
            "authenticate",
            "core",
            "services",
            "spending",
            "people",
            "judge",
            "views",
            "bootstrap",
            "keys",
            "projects",
            "runs",
            "worker",
            "audit",
            "periodic",
            "rows",
            "requests",
            "resources",
            "secrets",
            "operations",
            "parts",
            "acting",
        ],
    ),
];

#[test]
fn modules_of_a_folder_stand_in_order() {
    for (folder, order) in IN_ORDER {
        let place = |module: &str| {
            order
                .iter()
                .position(|known| *known == module)
                .unwrap_or_else(|| panic!("{folder}/{module} has no place in the order"))
        };
        for Source { name, .. } in &sources(folder) {
            place(name[folder.len() + 1..].split(['/', '.']).next().unwrap_or_default());
        }
        let wrong: Vec<String> = arrows(folder)
            .iter()
            .filter(|((from, to), _)| place(from) <= place(to))
            .map(|((from, to), file)| format!("{from} uses {to} in {file}"))
            .collect();
        assert!(wrong.is_empty(), "in {folder} a module uses one that stands after it:\n{}", wrong.join("\n"));
    }
}
