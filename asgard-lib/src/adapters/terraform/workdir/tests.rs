use super::{super::testkit, *};
use crate::error::Code;
use serde_json::json;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

/// How much runs left in a work folder.
fn left_by_runs(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| !path.ends_with(place::INSTALLATION)).count()
}

fn run(last: char) -> RunId {
    format!("run_0000000000000000000000000{last}").parse().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn create(parent: &Path) -> Result<WorkDir> {
    WorkDir::create(parent, &run('1'), &facts(parent, 7), 0)
}

#[test]
fn the_parent_is_private_or_refused() {
    let folder = testkit::folder();
    let work = folder.path().join("a/b");
    let made = parent(&work).unwrap();
    assert_eq!((mode(&made), mode(made.parent().unwrap())), (0o700, 0o700));
    assert_eq!(parent(&work).unwrap(), made, "again");

    let set = |bits: u32| fs::set_permissions(&work, fs::Permissions::from_mode(bits)).unwrap();
    for open in [0o777, 0o770, 0o702, 0o720] {
        set(open);
        let error = parent(&work).unwrap_err();
        assert_eq!((error.code(), error.field()), (Code::Config, Some(SETTING)), "{open:o}");
        assert!(error.message().contains("0700"), "{error}");
    }
    for fine in [0o755, 0o1777, 0o700] {
        set(fine);
        assert!(parent(&work).is_ok(), "{fine:o}");
    }

    let foreign = if geteuid().is_root() {
        chown(&work, Some(12_345), None).unwrap();
        work.clone()
    } else {
        // It belongs to root, and nobody else may write to it.
        PathBuf::from("/usr")
    };
    assert!(parent(&foreign).unwrap_err().message().contains("belongs to user"));
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(parent(&file).unwrap_err().code(), Code::Config);
    let link = folder.path().join("link");
    fs::create_dir(folder.path().join("real")).unwrap();
    symlink(folder.path().join("real"), &link).unwrap();
    assert_eq!(parent(&link).unwrap(), folder.path().canonicalize().unwrap().join("real"), "a link of our own");
    if geteuid().is_root() {
        std::os::unix::fs::lchown(&link, Some(12_345), None).unwrap();
        assert!(parent(&link).unwrap_err().message().contains("is a link that user 12345 made"));
    }
}

#[test]
fn everything_in_it_is_closed_to_others_and_goes_only_when_told() {
    let folder = testkit::folder();
    let dir = create(folder.path()).unwrap();
    assert!(create(folder.path()).is_err(), "what is there is never written over");
    let files = [("main.tf", "a"), ("sub/dir/x.tpl", "b"), ("sub/y.tpl", "c")];
    let files: std::collections::BTreeMap<_, _> =
        files.into_iter().map(|(n, b)| (n.to_owned(), b.as_bytes().to_vec())).collect();
    dir.put_module(&files).unwrap();
    dir.put_variables(json!({"name": "x"}).as_object().unwrap()).unwrap();
    dir.put_state(b"{}").unwrap();
    dir.put_plan(b"plan", Some(b"lock")).unwrap();
    dir.put_cli_config(Some(Path::new("/mirror/a\"b${c}"))).unwrap();
    drop(output_file(&dir.layout().stdout("plan")).unwrap());
    let config = fs::read_to_string(dir.layout().cli_config()).unwrap();
    assert!(config.contains(r#"path = "/mirror/a\"b$${c}""#), "{config}");

    let mut open = vec![dir.layout().root().to_path_buf()];
    let mut seen = 0;
    while let Some(path) = open.pop() {
        seen += 1;
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        // The supervisor's own notes hold no secrets, and the folder around them is closed.
        let note =
            path.extension().is_some_and(|extension| extension == "json") && path.parent() == Some(dir.layout().root());
        assert!(note || mode(&path) == expected, "{} is {:o}", path.display(), mode(&path));
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(seen > 12, "{seen}");
    assert_eq!(dir.layout().facts().unwrap().grace_secs, 7);

    let root = dir.layout().root().to_path_buf();
    drop(dir);
    assert!(root.exists(), "a supervisor that is torn down leaves it for recovery");
    fs::remove_dir_all(&root).unwrap();
    let dir = create(folder.path()).unwrap();
    dir.remove();
    assert!(!root.exists());
}

#[test]
fn a_module_cannot_reach_out_of_its_folder_or_into_asgards_files() {
    let folder = testkit::folder();
    for bad in [
        "../x.tf",
        "/etc/x.tf",
        "a/../../x.tf",
        "terraform.tfvars",
        "a.auto.tfvars.json",
        "terraform.tfstate",
        ".terraform/modules/modules.json",
        "asgard.tfplan",
        "zz_asgard_override.tf.json",
        "./x.tf",
        "",
    ] {
        let dir = create(folder.path()).unwrap();
        let error = dir.put_module([(&bad.to_owned(), &b"x".to_vec())]).unwrap_err();
        assert_eq!(error.code(), Code::InvalidInput, "{bad}");
        dir.remove();
    }
    assert_eq!(left_by_runs(folder.path()), 0);
}

#[test]
fn a_full_disk_is_said_before_anything_runs() {
    let folder = testkit::folder();
    let error = WorkDir::create(folder.path(), &run('2'), &facts(folder.path(), 7), u64::MAX).err().unwrap();
    assert!(error.message().contains("a run needs"), "{error}");
    assert_eq!(left_by_runs(folder.path()), 0);
}
