//! The pages of the error codes, from the files in `docs/errors`.

use super::html::{escape, inline, page as html_page};
use crate::kernel::BasePath;
use include_dir::{Dir, include_dir};

static PAGES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/docs/errors");

/// The page of a code, or `README` for the list of all.
pub(super) fn page(code: &str, base: &BasePath) -> Option<String> {
    let text = PAGES.get_file(format!("{code}.md"))?.contents_utf8()?;
    let title = text.lines().next().unwrap_or_default().trim_start_matches(['#', ' ']);
    Some(html_page(base, title, &format!("<main class=\"text\">{}</main>", render(text, base))))
}

/// The little Markdown that these pages use: headings, paragraphs, tables.
fn render(text: &str, base: &BasePath) -> String {
    let mut out = String::new();
    for block in text.split("\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        if let Some(heading) = block.strip_prefix("## ") {
            out.push_str(&format!("<h2>{}</h2>", escape(heading)));
        } else if let Some(heading) = block.strip_prefix("# ") {
            out.push_str(&format!("<h1>{}</h1>", escape(heading)));
        } else if block.starts_with('|') {
            out.push_str(&table(block, base));
        } else {
            out.push_str(&format!("<p>{}</p>", inline(&block.replace('\n', " "), base)));
        }
    }
    out
}

fn table(block: &str, base: &BasePath) -> String {
    let mut out = String::from("<table>");
    for row in block.lines().filter(|row| !row.starts_with("|---")) {
        out.push_str("<tr>");
        for cell in row.trim_matches('|').split('|') {
            out.push_str(&format!("<td>{}</td>", inline(cell.trim(), base)));
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>");
    out
}
