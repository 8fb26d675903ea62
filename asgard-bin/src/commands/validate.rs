//! Checking manifests without a server, as their authors do before they ship them.

use crate::{
    failure::{Failure, Result},
    output,
};
use asgard_lib::{
    app::services::{Service, read_manifest},
    domain::service::{Approval, Retry},
};
use std::path::PathBuf;

pub fn run(manifests: &[PathBuf]) -> Result<()> {
    let mut broken = Vec::new();
    for path in manifests {
        match read_manifest(path) {
            Ok(service) => output::line(format!("{}: {}", path.display(), described(&service)))?,
            Err(error) => broken.push(error.to_string()),
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    let failure = Failure::failed(broken.join("\n"));
    Err(if manifests.len() > 1 {
        failure.hint(format!("{} of {} manifests cannot be used.", broken.len(), manifests.len()))
    } else {
        failure
    })
}

/// A service in one line: what it is, who approves, what goes in and what comes out.
fn described(service: &Service) -> String {
    let manifest = &service.manifest;
    let approval = match &manifest.approval {
        Approval::Auto => "approved by policy".to_owned(),
        Approval::Human => "approved by a person".to_owned(),
        Approval::ByInput(rule) => format!("approved by policy or a person, by `{}`", rule.input),
    };
    let retry = match manifest.retry {
        Retry::Safe => "safe to retry",
        Retry::Unsafe => "looked at before a retry",
    };
    let outputs: Vec<String> = manifest
        .outputs
        .iter()
        .map(|(name, output)| if output.secret { format!("{name} (secret)") } else { name.clone() })
        .collect();
    format!(
        "service {} on {}, {approval}, {retry}; inputs: {}; outputs: {}; {} files, digest {}",
        manifest.id,
        manifest.cloud,
        or_none(&manifest.input_names().join(", ")),
        or_none(&outputs.join(", ")),
        service.files.len(),
        service.digest.chars().take(12).collect::<String>(),
    )
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}
