//! Tables. A list of objects has a column per plain field, an object a line per field, with objects inside as dotted names.

use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The widest that a cell of a list is, whatever the terminal.
const WIDEST: usize = 60;
/// Columns are not made narrower than this to fit a terminal.
const NARROWEST: usize = 8;
const GAP: usize = 2;

/// The table of a value. Without a width nothing is fitted.
pub fn render(value: &Value, width: Option<usize>) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) => object(map, width, &mut out),
        Value::Array(items) => list(items, width, &mut out),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let _ = writeln!(out, "{}", scalar(value));
        }
    }
    out
}

fn object(map: &Map<String, Value>, width: Option<usize>, out: &mut String) {
    // A page: what is wanted is its items.
    if let Some(Value::Array(items)) = map.get("items") {
        list(items, width, out);
        if let Some(cursor) = map.get("next_cursor").and_then(Value::as_str) {
            let _ = writeln!(out, "\nThere is more: --arg cursor={cursor}");
        }
        return;
    }
    let mut lines = Vec::new();
    let mut tables = Vec::new();
    flatten("", map, &mut lines, &mut tables);
    // An answer that is nothing but one list needs no heading.
    if let (true, [(_, items)]) = (lines.is_empty(), tables.as_slice()) {
        return list(items, width, out);
    }
    let name = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (key, text) in &lines {
        let mut rows = text.lines();
        let _ = writeln!(out, "{key:name$}  {}", rows.next().unwrap_or_default());
        for row in rows {
            let _ = writeln!(out, "{:name$}  {row}", "");
        }
    }
    for (key, items) in tables {
        let separator = if out.is_empty() { "" } else { "\n" };
        let _ = writeln!(out, "{separator}{key}:");
        list(items, width, out);
    }
}

fn flatten<'a>(
    prefix: &str,
    map: &'a Map<String, Value>,
    lines: &mut Vec<(String, String)>,
    tables: &mut Vec<(String, &'a [Value])>,
) {
    for (key, value) in map {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(inner) if !inner.is_empty() => flatten(&name, inner, lines, tables),
            Value::Array(items) if items.iter().any(Value::is_object) => tables.push((name, items)),
            Value::Null => {}
            Value::Object(_) | Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                lines.push((name, scalar(value)));
            }
        }
    }
}

/// A value in one cell.
fn scalar(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.chars().filter(|c| *c == '\n' || !c.is_control()).collect(),
        Value::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(", "),
        Value::Object(map) if map.is_empty() => String::new(),
        Value::Object(_) | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn list(items: &[Value], width: Option<usize>, out: &mut String) {
    if items.is_empty() {
        out.push_str("(none)\n");
        return;
    }
    let objects: Vec<&Map<String, Value>> = items.iter().filter_map(Value::as_object).collect();
    if objects.len() != items.len() {
        for item in items {
            let _ = writeln!(out, "{}", scalar(item));
        }
        return;
    }
    let columns = columns(&objects);
    let mut rows: Vec<Vec<String>> = vec![columns.iter().map(|name| name.to_uppercase()).collect()];
    for object in &objects {
        rows.push(columns.iter().map(|name| cell(object.get(*name).unwrap_or(&Value::Null))).collect());
    }
    let mut widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or_default()
        })
        .collect();
    fit(&mut widths, width);
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(text, width)| format!("{:width$}", shorten(text, *width), width = *width))
            .collect();
        let _ = writeln!(out, "{}", cells.join(&" ".repeat(GAP)).trim_end());
    }
}

/// The fields worth a column: plain in every item and set in some. Ids first, then the order that the server has.
fn columns<'a>(objects: &[&'a Map<String, Value>]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for object in objects {
        for (name, value) in *object {
            let plain = match value {
                Value::Array(items) => !items.iter().any(|item| item.is_object() || item.is_array()),
                Value::Object(_) | Value::Null => false,
                Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
            };
            if plain && !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    names.sort_by_key(|name| !matches!(*name, "id" | "project_id" | "name"));
    names
}

/// One line that is not too wide.
fn cell(value: &Value) -> String {
    let text = scalar(value).split_whitespace().collect::<Vec<_>>().join(" ");
    shorten(&text, WIDEST)
}

fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Takes from the widest column until the table fits.
fn fit(widths: &mut [usize], width: Option<usize>) {
    let Some(width) = width else { return };
    loop {
        let total: usize = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        match widths.iter_mut().max() {
            Some(widest) if total > width && *widest > NARROWEST => *widest -= 1,
            Some(_) | None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_is_a_table_with_ids_first_and_nested_things_left_out() {
        let page = json!({"items": [
            {"state": "active", "project_id": "proj-2026-0001", "tags": ["a", "b"], "links": {"x": 1}, "note": null},
            {"state": "killed\nby an admin", "project_id": "proj-2026-0002", "tags": [], "links": {"x": 1}, "note": null},
        ], "next_cursor": "abc"});
        let expected = "\
PROJECT_ID      STATE               TAGS
proj-2026-0001  active              a, b
proj-2026-0002  killed by an admin

There is more: --arg cursor=abc
";
        assert_eq!(render(&page, None), expected);
    }

    #[test]
    fn an_object_is_lines_then_tables() {
        let object = json!({"id": "req_1", "empty": null, "spec": {"seconds": 2, "deep": {"a": true}}, "text": "one\ntwo",
            "runs": [{"id": "run_1", "op": "plan"}]});
        let expected = "\
id            req_1
spec.seconds  2
spec.deep.a   true
text          one
              two

runs:
ID     OP
run_1  plan
";
        assert_eq!(render(&object, None), expected);
        assert_eq!(render(&json!({"groups": [{"key": "a"}]}), None), "KEY\na\n");
        assert_eq!(render(&json!({"items": []}), None), "(none)\n");
        assert_eq!(render(&json!("a\u{1b}[31mb"), None), "a[31mb\n", "no escape reaches the terminal");
    }

    #[test]
    fn wide_text_is_cut_and_the_table_fits_the_terminal() {
        let page = json!([{"name": "x".repeat(100), "title": "y".repeat(30)}]);
        let widest = |width| render(&page, width).lines().map(|line| line.chars().count()).max().unwrap();
        assert_eq!(widest(None), WIDEST + GAP + 30);
        assert_eq!(widest(Some(40)), 40);
        assert_eq!(widest(Some(5)), NARROWEST * 2 + GAP, "columns stay readable");
    }
}
