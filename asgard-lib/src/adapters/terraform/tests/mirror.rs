//! Where providers come from. What stands in for a provider is a program that is none: Terraform says how far it got.

use super::{real::engine, *};

const VERSION: &str = "1.2.3";

/// A module that needs a provider which no registry has: nothing is ever asked for the name.
fn needs_provider() -> Order {
    let module = "terraform {\n  required_providers {\n    thing = { source = \"registry.invalid/acme/thing\" }\n  }\n}\n\
                  resource \"thing_it\" \"one\" {}\n";
    let mut order = order(RunOp::Plan, json!({}));
    order.files = [("main.tf".to_owned(), module.into())].into();
    order
}

async fn outcome(work: &Path, mirror: Option<PathBuf>) -> String {
    outcome_of(&needs_provider(), work, mirror).await
}

async fn outcome_of(order: &Order, work: &Path, mirror: Option<PathBuf>) -> String {
    let mut options = options(work, &engine());
    options.mirror = mirror;
    let reporter = FakeReporter::default();
    let ending = conduct(order, &reporter, &World::system(), &options).await;
    format!("{} {}", describe(&ending), reporter.text())
}

/// A folder as `terraform providers mirror` and an unpacking leave it.
fn mirror(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let platform = format!("linux_{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
    let mirror = folder.join("providers");
    let package = mirror.join("registry.invalid/acme/thing").join(VERSION).join(platform);
    std::fs::create_dir_all(&package).unwrap();
    let program = package.join(format!("terraform-provider-thing_v{VERSION}"));
    std::fs::write(&program, "#!/bin/sh\necho no provider\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    mirror
}

#[tokio::test]
async fn providers_come_from_the_mirror_and_from_nowhere_else() {
    let folder = testkit::folder();
    let work = folder.path().join("work");
    let mirror = mirror(folder.path());
    // It was installed, and only then turned out to be none.
    let told = outcome(&work, Some(mirror.clone())).await;
    assert!(told.contains("Failed to load plugin schemas") && !told.contains("Failed to query"), "{told}");

    // Another provider than those in the mirror is not looked for elsewhere.
    std::fs::remove_dir_all(mirror.join("registry.invalid/acme/thing")).unwrap();
    let told = outcome(&work, Some(mirror)).await;
    assert!(told.contains("Failed to query available provider packages"), "{told}");
    assert!(!told.contains("dial tcp") && !told.contains("lookup"), "nobody was asked: {told}");
}

#[tokio::test]
async fn a_mirror_that_is_not_there_is_said_before_anything_is_made() {
    let folder = testkit::folder();
    let work = folder.path().join("work");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (mirror, why) in [(folder.path().join("none"), "cannot be used"), (file, "is not a folder")] {
        let told = outcome(&work, Some(mirror.clone())).await;
        assert!(told.contains(why) && told.contains(&mirror.display().to_string()), "{told}");
    }
    assert_eq!(entries(&work), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_kept_lock_that_does_not_fit_the_mirror_gives_way_to_what_is_there() {
    let folder = testkit::folder();
    let mirror = mirror(folder.path());
    for (locked, told_of) in [
        ("1.0.0", "Provider registry.invalid/acme/thing is 1.2.3; the last apply was made with 1.0.0."),
        (VERSION, "Provider registry.invalid/acme/thing 1.2.3 has other checksums than at the last apply."),
    ] {
        let mut order = needs_provider();
        order.op = RunOp::PlanDestroy;
        let sum = data_encoding::BASE64.encode(&[7; 32]);
        let lock = format!(
            "provider \"registry.invalid/acme/thing\" {{\n  version = \"{locked}\"\n  hashes = [\n    \"h1:{sum}\",\n  ]\n}}\n"
        );
        order.lock = Some(lock.into_bytes());
        let thing = json!({"mode": "managed", "type": "thing_it", "name": "one", "instances": [],
            "provider": "provider[\"registry.invalid/acme/thing\"]"});
        let state = json!({"version": 4, "terraform_version": "1.5.0", "serial": 1, "lineage": "l", "outputs": {}, "resources": [thing]});
        order.state = Some(zeroize::Zeroizing::new(state.to_string().into_bytes()));
        let told = outcome_of(&order, &folder.path().join("work"), Some(mirror.clone())).await;
        assert!(told.contains("others are chosen within the module's constraints") && told.contains(told_of), "{told}");
        // It was installed, and only then turned out to be none.
        assert!(told.contains("Failed to load plugin schemas"), "{told}");
    }
}
