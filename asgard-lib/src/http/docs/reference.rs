//! The reference page: the OpenAPI document for people.

use super::html::{escape, inline, page as html_page};
use crate::kernel::BasePath;
use serde_json::Value;
use std::fmt::Write;

const REF: &str = "#/components/schemas/";

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn entries<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = (&'v String, &'v Value)> {
    value.get(name).and_then(Value::as_object).into_iter().flatten()
}

fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// The page.
pub(super) fn page(document: &Value, base: &BasePath) -> String {
    let empty = Value::Null;
    let info = document.get("info").unwrap_or(&empty);
    let (mut menu, mut main) = (String::new(), String::new());
    let _ = write!(
        main,
        "<h1>Asgard API <small>{}</small></h1><p>{}</p>",
        escape(text(info, "version")),
        inline(text(info, "description"), base)
    );
    for tag in items(document, "tags") {
        let tag = text(tag, "name");
        let _ = write!(menu, "<h2>{0}</h2><ul>", escape(tag));
        let _ = write!(main, "<h2>{}</h2>", escape(tag));
        for (path, method, operation) in operations(document) {
            if items(operation, "tags").any(|known| known == tag) {
                let (id, summary) = (escape(text(operation, "operationId")), escape(text(operation, "summary")));
                let _ = write!(menu, "<li><a href=\"#{id}\">{summary}</a></li>");
                main.push_str(&section(document, path, method, operation, base));
            }
        }
        menu.push_str("</ul>");
    }
    main.push_str("<h2>Types</h2>");
    menu.push_str("<h2>Types</h2><ul>");
    for (name, schema) in document.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten() {
        let name = escape(name);
        let _ = write!(menu, "<li><a href=\"#type-{name}\">{name}</a></li>");
        let _ = write!(
            main,
            "<section id=\"type-{name}\"><h3>{name}</h3><p>{}</p>{}</section>",
            inline(text(schema, "description"), base),
            fields(schema, base)
        );
    }
    menu.push_str("</ul>");
    html_page(
        base,
        "Asgard API",
        &format!("<div class=\"columns\"><nav class=\"menu\">{menu}</nav><main>{main}</main></div>"),
    )
}

fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    entries(document, "paths").flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    })
}

fn section(document: &Value, path: &str, method: &str, operation: &Value, base: &BasePath) -> String {
    let mut out = String::new();
    let id = escape(text(operation, "operationId"));
    let _ = write!(
        out,
        "<section id=\"{id}\"><h3>{} <a href=\"#{id}\"><span class=\"method {method}\">{}</span> <code>{}</code></a></h3><p>{}</p>",
        escape(text(operation, "summary")),
        method.to_uppercase(),
        escape(path),
        inline(text(operation, "description"), base),
    );
    let tools: Vec<String> = items(operation, "x-mcp-tools").filter_map(Value::as_str).map(escape).collect();
    if !tools.is_empty() {
        let _ = write!(out, "<p class=\"note\">MCP tool: <code>{}</code></p>", tools.join("</code>, <code>"));
    }
    if operation.get("security").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        out.push_str("<p class=\"note\">Needs no credential.</p>");
    }
    let mut rows = String::new();
    for parameter in items(operation, "parameters") {
        let parameter = parameter
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| document.pointer(path.get(1..)?))
            .unwrap_or(parameter);
        let required = parameter.get("required") == Some(&Value::Bool(true));
        let kind = parameter.get("schema").map(kind).unwrap_or_default();
        rows.push_str(&row(
            text(parameter, "name"),
            required,
            &format!("{kind}, in the {}", text(parameter, "in")),
            text(parameter, "description"),
            base,
        ));
    }
    if !rows.is_empty() {
        let _ = write!(out, "<h4>Parameters</h4><table>{rows}</table>");
    }
    if let Some(content) = operation.pointer("/requestBody/content/application~1json") {
        let _ = write!(
            out,
            "<h4>Body</h4>{}",
            content.get("schema").map(|schema| fields(schema, base)).unwrap_or_default()
        );
        if let Some(example) = content.get("example").and_then(|example| serde_json::to_string_pretty(example).ok()) {
            let _ = write!(out, "<pre><code>{}</code></pre>", escape(&example));
        }
    }
    for (status, response) in entries(operation, "responses").filter(|(status, _)| status.starts_with('2')) {
        let schema = response.pointer("/content/application~1json/schema");
        let kind = schema.map_or_else(|| "text".to_owned(), kind);
        let _ = write!(out, "<h4>Answer</h4><p>{}: {kind}</p>", escape(status));
        if let Some(schema) = schema.filter(|schema| schema.get("$ref").is_none()) {
            out.push_str(&fields(schema, base));
        }
    }
    out.push_str("</section>");
    out
}

/// A table of an object's fields, or what else it is.
fn fields(schema: &Value, base: &BasePath) -> String {
    let required = |name: &str| items(schema, "required").any(|one| one == name);
    let rows: String = entries(schema, "properties")
        .map(|(name, field)| row(name, required(name), &kind(field), text(field, "description"), base))
        .collect();
    if rows.is_empty() { format!("<p>{}</p>", kind(schema)) } else { format!("<table>{rows}</table>") }
}

fn row(name: &str, required: bool, kind: &str, description: &str, base: &BasePath) -> String {
    let mark = if required { " <span class=\"required\" title=\"required\">*</span>" } else { "" };
    format!(
        "<tr><td><code>{}</code>{mark}</td><td>{kind}</td><td>{}</td></tr>",
        escape(name),
        inline(description, base)
    )
}

/// What a schema allows, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix(REF)) {
        return format!("<a href=\"#type-{0}\">{0}</a>", escape(name));
    }
    for name in ["anyOf", "oneOf"] {
        let options: Vec<String> =
            items(schema, name).filter(|option| text(option, "type") != "null").map(kind).collect();
        if !options.is_empty() {
            return options.join(" or ");
        }
    }
    if let Some(one) = schema.get("const") {
        return format!("<code>{}</code>", escape(&one.to_string()));
    }
    let choices: Vec<String> =
        items(schema, "enum").map(|one| format!("<code>{}</code>", escape(&one.to_string()))).collect();
    if !choices.is_empty() {
        return choices.join(" ");
    }
    let named = match schema.get("type") {
        Some(Value::String(one)) => one.clone(),
        Some(Value::Array(several)) => {
            several.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect::<Vec<_>>().join(" or ")
        }
        Some(_) | None => "anything".to_owned(),
    };
    match (named.as_str(), schema.get("items"), schema.get("format").and_then(Value::as_str)) {
        ("array", Some(items), _) => format!("list of {}", kind(items)),
        (_, _, Some(format)) => format!("{} ({})", escape(&named), escape(format)),
        (_, _, None) => escape(&named),
    }
}
