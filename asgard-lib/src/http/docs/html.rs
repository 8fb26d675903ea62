//! Writing HTML without forgetting to escape.

use crate::kernel::BasePath;

/// Text as it may stand in an element or a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A whole page around `body`. Its icon is an empty one: for a page without any, browsers ask the root of the address, which may
/// be somebody else's.
pub(super) fn page(base: &BasePath, title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"{base}/docs/style.css\"></head>\
         <body><header><a href=\"{base}/docs\">Asgard API</a><nav><a href=\"{base}/docs/errors\">Errors</a>\
         <a href=\"{base}/api/openapi.json\">OpenAPI</a></nav></header>\n{body}\n</body></html>\n",
        title = escape(title),
    )
}

/// One line of text in which `code` and [links](to) are written as in Markdown.
pub(super) fn inline(text: &str, base: &BasePath) -> String {
    let mut out = String::new();
    for (position, part) in text.split('`').enumerate() {
        if position % 2 == 1 {
            out.push_str(&format!("<code>{}</code>", escape(&route(part, base))));
        } else {
            out.push_str(&links(part, base));
        }
    }
    out
}

/// A route as it is reached: what is written as `POST /api/projects` or `/mcp` begins with the base. Other code stays.
fn route(code: &str, base: &BasePath) -> String {
    match code.split_once('/') {
        Some((method, path)) if method.is_empty() || matches!(method, "GET " | "POST " | "PATCH " | "DELETE ") => {
            format!("{method}{}", base.join(&format!("/{path}")))
        }
        Some(_) | None => code.to_owned(),
    }
}

fn links(text: &str, base: &BasePath) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((label, (target, tail))) = after.split_once("](").and_then(|(l, r)| Some((l, r.split_once(')')?)))
        else {
            break;
        };
        // Other documents of the repository are not served: the words stay, and lead nowhere.
        if target.starts_with("../") {
            out.push_str(&format!("{}{}", escape(before), escape(label)));
            rest = tail;
            continue;
        }
        let target = target.strip_suffix(".md").unwrap_or(target);
        let target =
            if target.starts_with('/') { base.join(target) } else { base.join(&format!("/docs/errors/{target}")) };
        out.push_str(&format!("{}<a href=\"{}\">{}</a>", escape(before), escape(&target), escape(label)));
        rest = tail;
    }
    out.push_str(&escape(rest));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_through_unescaped() {
        let (root, base) = (BasePath::root(), "/governance".parse().unwrap());
        assert_eq!(links("[a](/docs)", &base), "<a href=\"/governance/docs\">a</a>");
        assert_eq!(
            inline("a < b & `<i>` [see](x.md) \"q\"", &root),
            "a &lt; b &amp; <code>&lt;i&gt;</code> <a href=\"/docs/errors/x\">see</a> &quot;q&quot;"
        );
        let routes = "`POST /api/x`, `/mcp`, `a/b` and `PATH /x`";
        assert_eq!(
            inline(routes, &base),
            "<code>POST /governance/api/x</code>, <code>/governance/mcp</code>, <code>a/b</code> and <code>PATH /x</code>"
        );
        assert_eq!(inline("[not a link", &root), "[not a link");
        assert_eq!(inline("see [the rules](../policy.md) first", &root), "see the rules first");
        assert_eq!(links("[a](/docs)[b](c.md)", &root), "<a href=\"/docs\">a</a><a href=\"/docs/errors/c\">b</a>");
    }
}
