//! Pieces of Markdown.

/// Names as code, in a row.
pub(super) fn code(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
