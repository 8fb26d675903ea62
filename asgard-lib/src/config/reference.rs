//! What people read about the settings: the values in force, and the page of all of them.

use super::{
    Environment, Loaded,
    known::not_built,
    markdown::code,
    problems::Finder,
    providers,
    reader::Reader,
    setting::{Origin, Setting},
    validate::RawConfig,
    value::EvidenceRules,
};
use std::fmt::Write as _;

/// Every setting with its value and where that came from, one a line. Secrets are redacted.
pub fn format(loaded: &Loaded) -> String {
    let mut out = String::new();
    let width = loaded.settings.iter().map(|setting| setting.spec.name().len()).max().unwrap_or_default();
    for setting in &loaded.settings {
        let name = setting.spec.name();
        let note = setting.spec.default_note;
        let value = match (&setting.origin, note) {
            (Origin::Default, "") => setting.value.clone(),
            (Origin::Default, note) => format!("({note})"),
            (Origin::File { .. } | Origin::Variable(_) | Origin::Flag(_), _) => setting.value.clone(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:width$} = {value}  # {}", setting.origin);
    }
    out
}

/// Every setting as it is declared.
pub(super) fn declared() -> Vec<Setting> {
    let environment = Environment::default();
    let mut reader = Reader {
        root: None,
        file: "",
        environment: &environment,
        bind_flag: None,
        problems: Finder::new(""),
        settings: Vec::new(),
    };
    let _ = RawConfig::read(&mut reader);
    reader.settings
}

/// The page `docs/configuration.md`.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut chapter = "";
    for setting in &declared() {
        let next = chapter_of(setting);
        if next != chapter {
            chapter = next;
            let _ = writeln!(page, "\n## {chapter}");
        }
        describe(&mut page, setting);
    }
    page.push_str(VARIABLES);
    page.push_str(&providers::described());
    page.push_str(FUNCTIONS);
    page.push_str(LATER);
    for (name, text) in not_built() {
        let _ = writeln!(page, "| `{name}` | {text} |");
    }
    page
}

fn chapter_of(setting: &Setting) -> &'static str {
    let name = setting.spec.yaml.or(setting.spec.env).unwrap_or_default();
    CHAPTERS.iter().find(|(prefix, _)| name.starts_with(prefix)).map_or("Other", |(_, chapter)| chapter)
}

/// Which chapter a setting is in, by how its name begins.
const CHAPTERS: &[(&str, &str)] = &[
    ("server", "Listener"),
    ("trusted_proxies", "Listener"),
    ("ASGARD_DEV", "Listener"),
    ("metrics", "Metrics"),
    ("ASGARD_METRICS", "Metrics"),
    ("log", "Log"),
    ("database", "Database"),
    ("provisioning.secrets.store", "Secret values"),
    ("provisioning.secrets.path", "Secret values"),
    ("provisioning.secrets", "Master key"),
    ("people", "People"),
    ("ASGARD_ADMIN", "People"),
    ("groups", "Registration"),
    ("registration", "Registration"),
    ("classification", "Tiers"),
    ("governance", "Tiers"),
    ("review", "Review"),
    ("audit", "Audit"),
    ("lease", "Runs and loops"),
    ("reconcile", "Runs and loops"),
    ("provisioning.aws", "Tasks on Fargate"),
    ("provisioning", "Provisioning"),
];

fn describe(page: &mut String, setting: &Setting) {
    let spec = &setting.spec;
    let _ = writeln!(page, "\n### `{}`\n\n{}\n", spec.name(), spec.meaning.trim());
    if let (Some(_), Some(variable)) = (spec.yaml, spec.env) {
        let _ = writeln!(page, "- Variable: `{variable}`");
    }
    if spec.yaml.is_none() {
        let _ = writeln!(page, "- Only as a variable.");
    }
    let _ = writeln!(page, "- Allowed: {}", setting.allowed);
    match spec.default_note {
        "" if setting.default == "(not set)" || setting.default == "[]" => page.push_str("- Default: not set\n"),
        "" => drop(writeln!(page, "- Default: `{}`", setting.default)),
        note => drop(writeln!(page, "- Default: {note}")),
    }
    if !spec.unit.is_empty() && spec.range.is_none() {
        let _ = writeln!(page, "- Unit: {}", spec.unit);
    }
    if spec.secret {
        page.push_str("- Secret: never shown\n");
    }
    let _ = writeln!(page, "- Since: {}", spec.since);
    if spec.yaml == Some("classification_requirements") {
        for (tier, added) in EvidenceRules::shipped_steps() {
            let _ = writeln!(page, "- Shipped, added for {tier}: {}", code(added));
        }
    }
    if !setting.parts.is_empty() {
        page.push_str("\n| key of an entry | meaning | allowed | |\n|---|---|---|---|\n");
        for part in &setting.parts {
            let needed = if part.default == "needed" { "needed" } else { "optional" };
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {needed} |",
                part.spec.name(),
                part.spec.meaning.trim(),
                part.allowed
            );
        }
    }
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Made from the declarations in asgard-lib/src/config by `asgard config reference`. Do not edit. -->

Settings come from a file, the environment and flags. The file is named by `--config`, or else by `ASGARD_CONFIG`; or
`ASGARD_CONFIG_SECRET_ARN` names a secret in AWS Secrets Manager that has the text of the file, for functions and tasks, which
have no disk for one. Without any there is none, and with a secret beside a file it refuses to start. A variable wins over the
file, and `--bind` wins over both. `asgard config check` says everything that is wrong at once, with the line; `asgard config show`
prints every value in force and where it came from, without secrets.

- An unknown key, a key given twice, a bad value or a file that cannot be read refuses to start. An unknown `ASGARD_`
  variable only warns. A key without a value, and an empty variable, are as if they were not there.
- Any variable `X` of this page may be given as `X_FILE`: the value is then the content of that file, at most 65536 bytes,
  without newlines at its end. Or as `X_SECRET_ARN`: the value is then that of a secret in AWS Secrets Manager, fetched
  once at start from the region that the ARN names; all of them together may take 5 seconds. `#field` after the ARN means
  one field of a secret that is a JSON object. For `ASGARD_DATABASE_URL` the secret may be the URL, JSON with `url`, or JSON
  with `engine`, `username`, `password`, `host` and perhaps `port` (5432) and `dbname` (postgres), as AWS keeps it for a
  PostgreSQL database; TLS is then required. Giving a variable in two of the three ways refuses. This needs a build with the
  feature `aws`, and the right `secretsmanager:GetSecretValue` on those secrets.
- The file is YAML, at most 1 MiB, at most 16 levels deep, one document, without anchors, aliases, merge keys and tags of
  its own.
";

const VARIABLES: &str = "
## Variables for Terraform's providers

Runs do not inherit the server's environment, and never get an `ASGARD_` variable. What a run gets:

";

const FUNCTIONS: &str = "
## Variables of the Lambda functions

These belong to the programs of `asgard-lambda`, which take every other variable of this page as well. They listen nowhere,
so `ASGARD_BIND` has no effect there, and `ASGARD_DEV_INSECURE` is ignored.

| name | meaning |
|---|---|
| `ASGARD_LAMBDA_SURFACE` | What the function `http` answers: `api` (REST, dashboard, reference) or `mcp` (`/mcp`). Both when it is not set. |
| `ASGARD_EVENTS_FUNCTION` | The name or the ARN of the function `events`, which does jobs. It is invoked after a commit that appended one, by `http` and by the tasks of runs. Without it, jobs wait for the next tick. |
";

const LATER: &str = "
## Known, but not part of this build

| name | what happens |
|---|---|
";
