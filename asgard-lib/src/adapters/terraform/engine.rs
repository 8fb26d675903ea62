//! The engine: which program it is, that it really is Terraform, and which version.

use super::{
    confine::{Around, Confinement},
    environment::Environment,
    helper::Helper,
    query::{self, Asked},
};
use crate::{
    error::{Code, Error, Result},
    kernel::SecretText,
};
use std::{
    collections::BTreeMap,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The oldest version whose messages and modules Asgard knows.
const OLDEST: (u32, u32) = (1, 5);
const PATIENCE: Duration = Duration::from_secs(30);
const SETTING: &str = "provisioning.terraform.bin";

/// A Terraform that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// The program.
    pub bin: PathBuf,
    /// Its version, for example `1.11.4`.
    pub version: String,
}

impl Engine {
    /// Name and version, as runs record it.
    pub fn name(&self) -> String {
        format!("terraform {}", self.version)
    }
}

/// What a program is known by: its file, its inode, and when and how large it was written.
type Print = (PathBuf, u64, i64, i64, u64);

/// Versions by program, so that each is asked once per process. A program that is replaced is asked again.
static KNOWN: Mutex<BTreeMap<Print, Engine>> = Mutex::new(BTreeMap::new());

/// Finds `bin` (a path, or a name that is looked for on the PATH among `given`) and asks for its version, confined where that is possible.
pub(super) async fn find(
    bin: &Path,
    given: &[(String, SecretText)],
    helper: Option<Helper>,
    around: &Around,
) -> Result<Engine> {
    let environment = Environment::bare(given);
    let (program, print) = locate(bin, &environment.path())?;
    if is_tofu(&program) {
        return Err(tofu(&program));
    }
    if let Some(known) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&print) {
        return Ok(known.clone());
    }
    let confined = helper.map(|helper| (helper, Confinement::of_program(&program, &environment, around)));
    let asked = Asked { program: &program, environment: &environment, folder: Path::new("/"), confined };
    let (text, json) =
        (query::run(&asked, &["version"], PATIENCE), query::run(&asked, &["version", "-json"], PATIENCE));
    let (said, told) = tokio::try_join!(text, json).map_err(|error| broken(&program, error))?;
    let engine = Engine { version: version(&program, &said, &told)?, bin: program };
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(print, engine.clone());
    Ok(engine)
}

/// The version, from what `version` and `version -json` printed. The JSON is the same for Terraform and OpenTofu; only the
/// text says which of them speaks.
fn version(program: &Path, said: &[u8], told: &[u8]) -> Result<String> {
    let said = String::from_utf8_lossy(said);
    let first = said.lines().next().unwrap_or_default().trim();
    if first.to_ascii_lowercase().contains("tofu") {
        return Err(tofu(program));
    }
    if !first.starts_with("Terraform v") {
        return Err(broken(program, Error::bug("`version` does not answer as Terraform does")));
    }
    let told: serde_json::Value = serde_json::from_slice(told).map_err(|error| broken(program, Error::bug(error)))?;
    let version = told.get("terraform_version").and_then(serde_json::Value::as_str).unwrap_or_default();
    let mut numbers = version.split(['.', '-', '+']).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Err(broken(program, Error::bug("`version -json` names no version")));
    };
    if major != OLDEST.0 || (major, minor) < OLDEST {
        let message = format!(
            "Terraform {version} was found; Asgard works with {}.{} and later 1.x. Name another program in {SETTING}.",
            OLDEST.0, OLDEST.1
        );
        return Err(missing(message).caused_by(program.display().to_string()));
    }
    Ok(version.to_owned())
}

fn locate(bin: &Path, path: &[PathBuf]) -> Result<(PathBuf, Print)> {
    let named = if bin.components().count() > 1 || bin.is_absolute() {
        vec![bin.to_path_buf()]
    } else {
        path.iter().filter(|folder| folder.is_absolute()).map(|folder| folder.join(bin)).collect()
    };
    for program in named {
        let Ok(meta) = std::fs::metadata(&program) else { continue };
        if meta.is_file() && meta.permissions().mode() & 0o111 != 0 {
            let program = std::path::absolute(&program).unwrap_or(program);
            return Ok((program.clone(), (program, meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size())));
        }
    }
    let shown = bin.display();
    Err(missing(format!(
        "The program `{shown}` was not found. Install Terraform 1.5 or later on the PATH, or name it in {SETTING} or ASGARD_TF_BIN."
    )))
}

fn is_tofu(program: &Path) -> bool {
    let named =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().to_ascii_lowercase().contains("tofu"));
    named(program) || std::fs::canonicalize(program).is_ok_and(|program| named(&program))
}

fn tofu(program: &Path) -> Error {
    missing(format!(
        "OpenTofu is not used: Asgard stores the state at each resource, and whether OpenTofu writes it that often has not been measured. \
         Install Terraform 1.5 or later, or name it in {SETTING} or ASGARD_TF_BIN."
    ))
    .caused_by(program.display().to_string())
}

fn broken(program: &Path, error: Error) -> Error {
    let (shown, why) = (program.display(), error.chain());
    missing(format!(
        "The program {shown}, which {SETTING} or ASGARD_TF_BIN names, does not work as Terraform does: {} \
         It is started without the user's own environment: without HOME, for example. Name Terraform 1.5 or later itself.",
        sentence(&why)
    ))
}

fn sentence(words: &str) -> String {
    let words = words.trim();
    if words.ends_with(['.', '!', '?']) { words.to_owned() } else { format!("{words}.") }
}

fn missing(message: String) -> Error {
    Error::new(Code::EngineMissing, message).at(SETTING)
}

#[cfg(test)]
mod tests {
    use super::{super::testkit, *};
    use std::fs;

    #[test]
    fn only_a_terraform_that_is_known_passes() {
        let check = |said: &str, told: &str| version(Path::new("/bin/x"), said.as_bytes(), told.as_bytes());
        let told = |version: &str| format!(r#"{{"terraform_version": "{version}", "platform": "linux_amd64"}}"#);
        assert_eq!(check("Terraform v1.11.4\non linux_amd64\n", &told("1.11.4")).unwrap(), "1.11.4");
        assert_eq!(check("Terraform v1.15.0-beta1\n", &told("1.15.0-beta1")).unwrap(), "1.15.0-beta1");
        for (said, told) in [
            ("OpenTofu v1.8.0\n", told("1.8.0")),
            ("Terraform v1.4.9\n", told("1.4.9")),
            ("Terraform v2.0.0\n", told("2.0.0")),
            ("Terraform v1.9.0\n", "[]".into()),
            ("hello\n", told("1.9.0")),
            ("", String::new()),
        ] {
            let error = check(said, &told).unwrap_err();
            assert_eq!(error.code(), Code::EngineMissing, "{said}");
        }
        assert!(check("OpenTofu v1.8.0\n", &told("1.8.0")).unwrap_err().message().contains("measured"));
    }

    #[tokio::test]
    async fn a_program_is_found_once_and_again_when_it_changes() {
        let folder = testkit::folder();
        let path = SecretText::new(folder.path().to_str().unwrap());
        let given = vec![("PATH".to_owned(), path)];
        let error = find(Path::new("terraform"), &given, None, &Around::default()).await.unwrap_err();
        assert_eq!((error.code(), error.field()), (Code::EngineMissing, Some(SETTING)));
        assert!(error.message().contains("ASGARD_TF_BIN"), "{error}");

        let program = folder.path().join("terraform");
        let script = |version: &str| {
            format!(
                "[ \"$2\" = -json ] && echo '{{\"terraform_version\":\"{version}\"}}' || echo 'Terraform v{version}'\necho x >>'{}/asked'",
                folder.path().display()
            )
        };
        testkit::script(&program, &script("1.9.1"));
        let asked = || fs::read(folder.path().join("asked")).unwrap_or_default().len() / 2;
        assert_eq!(
            find(Path::new("terraform"), &given, None, &Around::default()).await.unwrap().name(),
            "terraform 1.9.1"
        );
        assert_eq!(find(&program, &given, None, &Around::default()).await.unwrap().version, "1.9.1");
        assert_eq!(asked(), 2, "asked in both ways, once");
        testkit::script(&program, &script("1.10.22"));
        assert_eq!(find(&program, &given, None, &Around::default()).await.unwrap().version, "1.10.22");

        let tofu = folder.path().join("tofu");
        fs::rename(&program, &tofu).unwrap();
        std::os::unix::fs::symlink(&tofu, &program).unwrap();
        assert!(find(&program, &given, None, &Around::default()).await.unwrap_err().message().contains("OpenTofu"));
    }
}
