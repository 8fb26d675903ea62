//! A module that looks for what is Asgard's: the master key, the database, the settings, other runs' folders, the memory and the
//! environment of the processes that supervise it. Where the kernel has Landlock it finds nothing. Where it has not, this says exactly
//! what it finds, and docs/operations.md says it too.

use crate::job::{ask, fulfilled, log, request_id, runs};
use asgard_tests::{Database, Roles, Site, eventually, overlay};
use serde_json::json;
use std::{collections::BTreeSet, fs, path::Path};

/// What was in a file that a test plants, and in no program.
const PLANTED: &str = "planted-for-thieves";

/// A shell script that says what it could open, a line each.
fn thief(files: &[(&str, &Path)]) -> String {
    let mut script = String::new();
    for (name, path) in files {
        script += &format!("if head -c 1 {} >/dev/null 2>&1; then echo found {name}; fi\n", path.display());
    }
    // Everything that does not belong to this run, again and again while other supervisors start beside it.
    script += r#"
i=0
while [ $i -lt 10 ]; do
  i=$((i+1))
  if grep -qs ASGARD_ /proc/[0-9]*/environ; then echo found environment; fi
  for file in $(grep -lszx -e serve -e --settings-from-stdin -e internal-guard /proc/[0-9]*/cmdline); do
    process=${file%/cmdline}
    if (exec 3<$process/mem) 2>/dev/null; then echo found memory; fi
    if ls $process/cwd/ >/dev/null 2>&1; then echo found folder; fi
    if ls -l $process/fd 2>/dev/null | grep -q socket; then echo found descriptors; fi
  done
  sleep 0.05
done
echo looked
"#;
    script
}

fn has_landlock(log: &str) -> bool {
    log.contains("Terraform is confined by Landlock")
}

fn steal(times: u32) {
    let site = Site::sqlite().armed();
    let Database::Sqlite(database) = site.database() else { unreachable!() };
    let database = database.clone();
    let key = database.with_extension("db.key");
    let other = site.work_dir().join("run_00000000000000000000000000");
    fs::create_dir_all(other.join("module")).unwrap();
    fs::write(other.join("module/terraform.tfstate"), PLANTED).unwrap();
    let settings = site.dir().join("asgard.yaml");
    let state = other.join("module/terraform.tfstate");
    let script = thief(&[("key", &key), ("database", &database), ("settings", &settings), ("another run", &state)]);
    let services = site.dir().join("services");
    overlay(&services, "thief", &[("exec sleep ${local.step_seconds}", "sh ${path.module}/thief.sh")]);
    fs::write(services.join("thief/thief.sh"), script).unwrap();
    let site = site.yaml(&format!("provisioning: {{ services_dir: {} }}\n", services.display()));
    let server = site.start();
    let cast = site.cast(&server);
    let agent = cast.key(&cast.project("Thieves"));
    let owner = &cast.owner.session;
    let mut found = BTreeSet::new();
    // A few at once, so that runs stand beside each other and none waits for long.
    let names: Vec<String> = (0..times).map(|number| format!("thief-{number}")).collect();
    let asked = names.chunks(8).flat_map(|some| {
        let asked: Vec<_> = some.iter().map(|name| ask(&agent, "thief", name, &json!({}))).collect();
        for asked in &asked {
            fulfilled(owner, &request_id(asked));
        }
        asked
    });
    for asked in asked {
        let apply = runs(owner, &asked["resource"]).pop().expect("an apply");
        let lines = log(owner, &apply);
        let said: Vec<&str> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
        assert_eq!(said.iter().filter(|line| line.trim() == "looked").count(), 4, "every step has looked: {said:#?}");
        found.extend(said.iter().filter_map(|line| line.trim().strip_prefix("found ")).map(str::to_owned));
        assert!(!said.iter().any(|line| line.contains("Unable to open CLI configuration")), "{said:#?}");
        let confined = said.iter().any(|line| line.starts_with("Terraform is confined by Landlock"));
        assert_eq!(confined, has_landlock(&server.log_text()), "the run says it as the server does: {said:#?}");
    }
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    if has_landlock(&server.log_text()) {
        assert_eq!(found, [""; 0], "a module found what is Asgard's");
    } else {
        assert!(server.log_text().contains("What a module can reach"), "the server says that this is open");
        assert_eq!(found, ["another run", "database", "key", "settings"]);
    }
}

#[test]
fn a_module_finds_nothing_of_asgards() {
    steal(4);
}

#[test]
#[ignore = "500 applies: an hour"]
fn a_module_finds_nothing_of_asgards_in_500_runs() {
    steal(500);
}

/// What a run needs stays open, and what an operator opens besides.
#[test]
fn what_modules_need_stays_open() {
    let mut site = Site::sqlite().armed();
    let tools = site.dir().join("tools");
    fs::create_dir(&tools).unwrap();
    fs::write(tools.join("tool"), "#!/bin/sh\necho the tool works\n").unwrap();
    fs::set_permissions(tools.join("tool"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let readable = site.readable();
    site.set("ASGARD_TF_READABLE", &format!("{readable},{}", tools.display()));
    let services = site.dir().join("services");
    overlay(&services, "worker", &[("exec sleep ${local.step_seconds}", "sh ${path.module}/work.sh")]);
    let work = format!(
        "set -e\ncat /etc/resolv.conf /etc/hosts >/dev/null\nls /etc/ssl >/dev/null\n{}/tool\n\
         echo x >$HOME/x && cat $HOME/x >/dev/null && mktemp >/dev/null && echo y >y && mv y z && rm z\n\
         head -c 4 /dev/urandom >/dev/null\necho all is open\n",
        tools.display()
    );
    fs::write(services.join("worker/work.sh"), work).unwrap();
    let site = site.yaml(&format!("provisioning: {{ services_dir: {} }}\n", services.display()));
    let server = site.start();
    let cast = site.cast(&server);
    let agent = cast.key(&cast.project("Workers"));
    let asked = ask(&agent, "worker", "worker", &json!({}));
    let owner = &cast.owner.session;
    fulfilled(owner, &request_id(&asked));
    let apply = runs(owner, &asked["resource"]).pop().expect("an apply");
    let lines = log(owner, &apply);
    let said = |what: &str| {
        lines.iter().filter(|line| line["message"].as_str().is_some_and(|text| text.trim() == what)).count()
    };
    assert_eq!((said("the tool works"), said("all is open")), (4, 4), "{lines:#?}");
}

/// As in a task of ECS: Asgard's own credentials have an address, and whoever knows it has them.
#[test]
fn a_module_gets_the_role_of_its_target_and_nothing_of_asgards() {
    const ROLE: &str = "arn:aws:iam::123456789012:role/provision";
    let roles = Roles::start();
    let mut site = Site::sqlite().armed();
    let target = format!("aws:123456789012={ROLE},aws:210987654321");
    for (name, value) in [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", roles.own().as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token-of-the-task"),
        ("AWS_ENDPOINT_URL_STS", roles.sts().as_str()),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("ASGARD_TF_ALLOWED", target.as_str()),
    ] {
        site.set(name, value);
    }
    let services = site.dir().join("services");
    overlay(
        &services,
        "aws-demo",
        &[("exec sleep ${local.step_seconds}", "sh ${path.module}/look.sh"), ("cloud: local", "cloud: aws")],
    );
    // The values are secret and would not show in the log: what is told is which of them it is.
    let look = "env | cut -d= -f1 | grep AWS_ | sort | tr '\\n' ' '; echo\n\
         case $AWS_SECRET_ACCESS_KEY in key-of*assumed*) echo has the role of the target ;; esac\n\
         grep -qs v2/credentials /proc/[0-9]*/environ && echo found the address\n\
         grep -qs token-of-the.task /proc/[0-9]*/environ && echo found the token\n\
         echo looked\n";
    fs::write(services.join("aws-demo/look.sh"), look).unwrap();
    let site = site.yaml(&format!("provisioning: {{ services_dir: {} }}\n", services.display()));
    let server = site.start();
    let cast = site.cast(&server);
    let (agent, owner) = (cast.key(&cast.project("Roles")), &cast.owner.session);
    let request = |name: &str, account: &str| {
        let asked = json!({"service": "aws-demo", "name": name, "spec": {}, "cloud": "aws", "account": account});
        let asked = agent.tool("request_resource", &asked).ok();
        fulfilled(owner, &request_id(&asked));
        let apply = runs(owner, &asked["resource"]).pop().expect("an apply");
        let lines = log(owner, &apply);
        let said: Vec<String> =
            lines.iter().filter_map(|line| Some(line["message"].as_str()?.trim().to_owned())).collect();
        assert_eq!(said.iter().filter(|line| *line == "looked").count(), 4, "{said:#?}");
        assert!(!said.iter().any(|line| line.starts_with("found")), "{said:#?}");
        said
    };
    let said = request("with", "123456789012");
    assert!(said.iter().any(|line| line == "has the role of the target"), "{said:#?}");
    let variables = "AWS_ACCESS_KEY_ID AWS_EC2_METADATA_DISABLED AWS_ENDPOINT_URL_STS AWS_REGION AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN";
    assert!(said.iter().any(|line| line == variables), "{said:#?}");
    let assumed = roles.assumed();
    assert!(
        !assumed.is_empty() && assumed.iter().all(|asked| asked.contains("ASIAOWN")),
        "Asgard's own role assumes: {assumed:#?}"
    );
    assert!(
        assumed.iter().all(|asked| asked.contains("role%2Fprovision") && asked.contains("RoleSessionName=run_")),
        "{assumed:#?}"
    );
    let before = assumed.len();

    // A target without a role has no rights at all.
    let said = request("without", "210987654321");
    assert!(said.iter().any(|line| line == "AWS_EC2_METADATA_DISABLED AWS_ENDPOINT_URL_STS AWS_REGION"), "{said:#?}");
    assert_eq!(roles.assumed().len(), before);
    site.assert_kept(
        &[
            Roles::OWN,
            Roles::ASSUMED,
            "session-token-of-the-task",
            "session-token-of-the-assumed-role",
            "token-of-the-task",
        ]
        .map(str::to_owned),
    );
}

/// A machine that would give modules its role, as on EC2.
#[test]
fn an_armed_server_does_not_start_where_modules_would_have_the_machines_role() {
    let metadata = asgard_tests::Loopback::serve(|asked| match asked.line.as_str() {
        "PUT /latest/api/token" => asgard_tests::Answer::Xml("token-1".to_owned()),
        "GET /latest/meta-data/iam/security-credentials/" => {
            asgard_tests::Answer::Xml("role-of-the-machine".to_owned())
        }
        other => panic!("{other} is not asked of it"),
    });
    let mut site = Site::sqlite().armed().with("ASGARD_TF_INSTANCE_METADATA", &metadata.address());
    let output = site.run(&["serve", "--bind", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for word in ["role-of-the-machine", "ASGARD_TF_ACCEPT_INSTANCE_ROLE"] {
        assert!(said.contains(word), "{said}");
    }
    site.set("ASGARD_TF_ACCEPT_INSTANCE_ROLE", "true");
    let mut server = site.start();
    assert!(server.log_text().contains("Every module of Terraform may have the role of this machine"));
    assert!(server.stop().success());
    // Without provisioning nothing is given to anybody.
    for name in ["ASGARD_TF_ACCEPT_INSTANCE_ROLE", "ASGARD_TF_MODULES_DIR", "ASGARD_TF_WORK_DIR", "ASGARD_TF_BIN"] {
        site.set(name, "");
    }
    assert!(site.start().stop().success());
}

/// What runs could not work with is said when the server starts.
#[test]
fn what_is_wrong_with_the_work_folder_or_the_engine_is_said_at_the_start() {
    let said = |adapt: &dyn Fn(&mut Site), words: &[&str]| {
        let mut site = Site::sqlite().armed();
        adapt(&mut site);
        let server = site.start();
        let line = eventually("the server says that runs cannot be carried out", || {
            server.log_text().lines().find(|line| line.contains("Runs cannot be carried out")).map(str::to_owned)
        });
        for word in words {
            assert!(line.contains(word), "expected `{word}`: {line}");
        }
    };
    let shim = |site: &Site, text: &str| {
        let shim = site.dir().join("shim");
        fs::write(&shim, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&shim, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        shim.display().to_string()
    };
    let file = |site: &mut Site| {
        let path = site.dir().join("no-folder");
        fs::write(&path, "").unwrap();
        site.set("ASGARD_TF_WORK_DIR", &path.display().to_string());
    };
    said(&file, &["provisioning.terraform.work_dir", "no-folder"]);
    let open = |site: &mut Site| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(site.work_dir(), mode).unwrap();
    };
    said(&open, &["provisioning.terraform.work_dir", "0700"]);
    let needs_home = |site: &mut Site| {
        let shim = shim(
            site,
            "[ -d \"$HOME\" ] || { echo 'shim: HOME is not a folder' >&2; echo 'usage: shim' >&2; exit 1; }; echo Terraform v1.9.0",
        );
        site.set("ASGARD_TF_BIN", &shim);
    };
    said(&needs_home, &["provisioning.terraform.bin", "shim: HOME is not a folder", "ASGARD_TF_BIN"]);
    said(
        &|site| site.set("ASGARD_TF_BIN", "/nowhere/terraform"),
        &["provisioning.terraform.bin", "/nowhere/terraform"],
    );
    said(
        &|site| site.set("ASGARD_TF_PROVIDER_MIRROR", "/nowhere/providers"),
        &["provisioning.terraform.provider_mirror"],
    );
}
