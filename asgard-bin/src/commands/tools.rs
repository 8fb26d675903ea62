//! The tools of a running server.

use crate::{
    cli::{Format, ServerArgs},
    client::{Client, Tool},
    failure::Result,
    output,
};
use serde_json::{Value, json};

pub fn run(server: &ServerArgs, format: Format) -> Result<()> {
    let mut client = Client::connect(server)?;
    match format {
        Format::Json | Format::Yaml => output::value(&Value::Array(client.described()?), format),
        Format::Table => {
            let rows = client.tools()?.into_iter().map(row).collect();
            output::value(&Value::Array(rows), format)
        }
    }
}

fn row(tool: Tool) -> Value {
    let hint = |name: &str| tool.annotations.get(name).and_then(Value::as_bool).unwrap_or_default();
    let effect = match (hint("readOnlyHint"), hint("destructiveHint")) {
        (true, _) => "reads",
        (false, true) => "removes",
        (false, false) => "changes",
    };
    let title = tool.title.or_else(|| tool.description?.lines().next().map(str::to_owned));
    json!({"name": tool.name, "effect": effect, "title": title})
}
