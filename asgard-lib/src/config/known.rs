//! Keys and variables that nobody reads: a typing error in the file refuses, one in the environment warns, and what a later
//! build will have is named instead of ignored.

use super::{
    notes::Notes,
    reader::Reader,
    setting::Setting,
    spec::FILE_VARIABLE,
    yaml::{Content, Node},
};
use std::collections::{BTreeMap, BTreeSet};

/// Blocks of the file that this build does not have.
const BLOCKS: &[(&str, &str)] = &[
    ("sources", "the catalogue of source repositories"),
    ("gateway", "the model gateway"),
    ("rate_limits", "rate limiting of the model gateway"),
];

/// Variables whose part this build does not have, and that ask for something that must not be ignored.
const REFUSED: &[(&str, &str)] =
    &[("ASGARD_OIDC_DOMAIN", "single sign-on is not part of this build; unset it to start with local users")];

/// Variables whose part this build does not have, and that do nothing by themselves.
const IDLE: &[(&str, &str)] = &[
    ("ASGARD_OIDC_CLIENT_ID", "single sign-on"),
    ("ASGARD_OIDC_CLIENT_SECRET", "single sign-on"),
    ("ASGARD_OIDC_REDIRECT_URI", "single sign-on"),
    ("ASGARD_OIDC_SCOPES", "single sign-on"),
    ("ASGARD_OIDC_ADMIN_GROUPS", "single sign-on"),
    ("ASGARD_OIDC_FINANCE_GROUPS", "single sign-on"),
    ("ASGARD_OIDC_GROUPS_CLAIM", "single sign-on"),
    ("ASGARD_ADMIN_EMAILS", "single sign-on"),
    ("ASGARD_GIT_TOKEN", "the catalogue of source repositories"),
    ("ASGARD_GUARDRAIL_MODE", "the model gateway"),
    ("OPENAI_API_KEY", "the model gateway"),
    ("ANTHROPIC_API_KEY", "the model gateway"),
];

/// For the reference: what is known by name and refused or without effect.
pub(super) fn not_built() -> impl Iterator<Item = (&'static str, String)> {
    let blocks = BLOCKS.iter().map(|(path, part)| (*path, format!("Refused: {part} is not part of this build.")));
    let refused = REFUSED.iter().map(|(name, reason)| (*name, format!("Refused: {reason}.")));
    let idle = IDLE
        .iter()
        .map(|(name, part)| (*name, format!("No effect, with a warning: {part} is not part of this build.")));
    blocks.chain(refused).chain(idle)
}

/// The keys that may follow a path, by path; settings themselves have none.
type Tree = BTreeMap<String, BTreeSet<String>>;

fn tree(settings: &[Setting]) -> Tree {
    let mut tree = Tree::new();
    for path in settings.iter().filter_map(|setting| setting.spec.yaml) {
        let mut above = String::new();
        for key in path.split('.') {
            tree.entry(above.clone()).or_default().insert(key.to_owned());
            above = join(&above, key);
        }
    }
    tree
}

fn join(above: &str, key: &str) -> String {
    if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") }
}

/// Reports the keys of the file that no setting has.
pub(super) fn check_file(reader: &mut Reader<'_>) {
    if let Some(root) = reader.root {
        let tree = tree(&reader.settings);
        walk(root, "", &tree, reader);
    }
}

fn walk(node: &Node, path: &str, tree: &Tree, reader: &mut Reader<'_>) {
    let Some(allowed) = tree.get(path) else { return };
    let keys = || allowed.iter().map(String::as_str);
    let entries = match &node.content {
        Content::Map(entries) => entries,
        Content::Null => return,
        Content::Scalar(_) | Content::List(_) => {
            let expected = format!("not a map; allowed here: {}", keys().collect::<Vec<_>>().join(", "));
            return reader.problems.at_line(node.line, path, expected);
        }
    };
    for (key, line, child) in entries {
        let below = join(path, key);
        if let Some((_, part)) = BLOCKS.iter().find(|(block, _)| *block == below) {
            reader.problems.at_line(*line, below, format!("{part} is not part of this build; remove it"));
        } else if allowed.contains(key) {
            walk(child, &below, tree, reader);
        } else {
            reader.problems.unknown_key(*line, &below, keys());
        }
    }
}

/// Reports variables whose part is not built, and warns of variables that nobody knows.
pub(super) fn check_environment(reader: &mut Reader<'_>, also_known: &[&str], notes: &mut Notes) {
    for (name, reason) in REFUSED {
        for variable in spellings(name).into_iter().filter(|variable| reader.environment.has(variable)) {
            reader.problems.outside(variable, *reason);
        }
    }
    for (name, part) in IDLE {
        for variable in spellings(name).into_iter().filter(|variable| reader.environment.has(variable)) {
            notes.warnings.push(format!("{variable} has no effect: {part} is not part of this build"));
        }
    }
    let settings: Vec<&str> = reader.settings.iter().filter_map(|setting| setting.spec.env).collect();
    let known: Vec<&str> = [FILE_VARIABLE]
        .into_iter()
        .chain(settings)
        .chain(REFUSED.iter().chain(IDLE).map(|(name, _)| *name))
        .chain(also_known.iter().copied())
        .collect();
    for name in reader.environment.names().filter(|name| name.starts_with("ASGARD_")) {
        if known.iter().any(|known| spellings(known).iter().any(|spelling| spelling == name)) {
            continue;
        }
        let nearest = known.iter().map(|known| (distance(name, known), known)).min();
        let hint = match nearest {
            Some((few, near)) if few <= 3 => format!("; did you mean {near}?"),
            Some(_) | None => String::new(),
        };
        notes.warnings.push(format!("{name} is not a variable that Asgard knows; it has no effect{hint}"));
    }
}

/// The variables that can give the value of one.
fn spellings(name: &str) -> [String; 3] {
    [name.to_owned(), format!("{name}_FILE"), format!("{name}_SECRET_ARN")]
}

/// How many letters must be added, dropped or changed to get from one text to the other.
pub(super) fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(to.bytes()) {
            let cost = if a == b { diagonal } else { diagonal.min(left).min(*cell) + 1 };
            diagonal = *cell;
            *cell = cost;
            left = cost;
        }
    }
    row.last().copied().unwrap_or_default()
}
