//! The variables that Terraform's providers read. Children of runs get them by an allow-list and never the whole environment:
//! it holds the master key and the database's password.

use super::{environment::resolve, markdown::code, notes::Notes, reader::Reader};
use crate::kernel::SecretText;
use std::{collections::BTreeMap, path::Path};

/// Variables that every child may have, whatever its target.
const COMMON: &[&str] = &[
    "PATH",
    "LANG",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The variables that a cloud's provider reads: how their names begin, and which may also be given as `X_FILE`. The others
/// are passed on as they are, because some of them end in `_FILE` by nature.
const CLOUDS: &[(&str, &str, &[&str])] = &[
    ("aws", "AWS_", &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]),
    ("auth0", "AUTH0_", &["AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"]),
];

/// Never kept for children: the address of the credentials of a container, which are Asgard's own.
const OWN: &str = "AWS_CONTAINER_";

/// AWS's own files, which a child could not find because its HOME is its work folder.
const AWS_FILES: &[(&str, &str)] =
    &[("AWS_CONFIG_FILE", ".aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials")];

/// Whether a child that works for `cloud` may have the variable.
pub(super) fn may_have(cloud: &str, variable: &str) -> bool {
    COMMON.contains(&variable) || CLOUDS.iter().any(|(of, prefix, _)| *of == cloud && variable.starts_with(prefix))
}

/// The variables that may also be given as `X_FILE` or `X_SECRET_ARN`.
pub(super) fn resolved() -> impl Iterator<Item = &'static str> {
    CLOUDS.iter().flat_map(|(.., by_file)| by_file.iter().copied())
}

/// The variables to keep for children.
pub(super) fn gather(reader: &mut Reader<'_>, notes: &mut Notes) -> BTreeMap<String, SecretText> {
    let mut kept = BTreeMap::new();
    let environment = reader.environment;
    for (_, _, by_file) in CLOUDS {
        for name in *by_file {
            if let Some(found) = resolve(environment, name, &mut reader.problems) {
                kept.insert((*name).to_owned(), found.text);
            }
        }
    }
    for name in environment.names() {
        let of_a_cloud = CLOUDS.iter().find(|(_, prefix, _)| name.starts_with(prefix));
        let resolved =
            |by_file: &&str| name.strip_prefix(by_file).is_some_and(|end| ["", "_FILE", "_SECRET_ARN"].contains(&end));
        match of_a_cloud {
            None if !COMMON.contains(&name) => continue,
            Some(_) if name.starts_with(OWN) => continue,
            Some((.., by_file)) if by_file.iter().any(resolved) => continue,
            Some((.., by_file)) if name.ends_with("_SECRET_ARN") => {
                let reason =
                    format!("it cannot be given by a secret's ARN; of its kind only {} can", by_file.join(", "));
                reader.problems.outside(name, reason);
                continue;
            }
            None | Some(_) => {}
        }
        match environment.get(name) {
            Some(text) => drop(kept.insert(name.to_owned(), text.clone())),
            None => notes.warnings.push(format!("{name} is not UTF-8 text; runs do not get it")),
        }
    }
    let home = environment.get("HOME").map(|home| Path::new(home.reveal()));
    for (name, file) in AWS_FILES {
        let file = home.map(|home| home.join(file)).filter(|file| !kept.contains_key(*name) && file.is_file());
        if let Some(file) = file.as_deref().and_then(Path::to_str) {
            kept.insert((*name).to_owned(), SecretText::new(file));
        }
    }
    kept
}

/// For the reference: what children get.
pub(super) fn described() -> String {
    let clouds = CLOUDS.iter().map(|(cloud, prefix, by_file)| {
        format!(
            "- Cloud `{cloud}`: every variable that starts with `{prefix}`{}. As `X_FILE` or `X_SECRET_ARN`, too: {}.\n",
            if OWN.starts_with(prefix) { format!(", but not with `{OWN}`") } else { String::new() },
            code(by_file)
        )
    });
    format!("{}- Every cloud: {}.\n", clouds.collect::<String>(), code(COMMON))
}
