//! Calling one tool of a running server.

use crate::{
    cli::CallArgs,
    client::{Client, Tool, arguments},
    failure::{Failure, Result},
    output,
};
use serde_json::{Map, Value};
use std::{
    fs::File,
    io::{self, Read},
};

/// The most that is read as arguments.
const LARGEST: u64 = 4 * 1024 * 1024;

pub fn run(args: &CallArgs) -> Result<()> {
    // What is wrong with the input is said before anything travels.
    let given = args.json.as_deref().map(object).transpose()?;
    let mut client = Client::connect(&args.server)?;
    let arguments = match given {
        Some(object) => object,
        None if args.args.is_empty() => Map::new(),
        None => arguments::build(&args.args, &tool(&mut client, &args.tool)?.input_schema)?,
    };
    output::value(&client.call(&args.tool, arguments)?, args.output.output)
}

fn tool(client: &mut Client, name: &str) -> Result<Tool> {
    let mut tools = client.tools()?;
    match tools.iter().position(|tool| tool.name == name) {
        Some(at) => Ok(tools.swap_remove(at)),
        None => Err(Failure::usage(format!("the server has no tool `{name}`")).hint("`asgard tools` lists them.")),
    }
}

/// The arguments of `--json`: itself, a file, or standard input.
fn object(given: &str) -> Result<Map<String, Value>> {
    let (name, text) = match given.trim_start() {
        "-" => ("standard input", read(io::stdin().lock(), "standard input")?),
        inline if inline.starts_with(['{', '[', '"']) => ("--json", inline.to_owned()),
        _ => (given, read(open(given)?, given)?),
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(Failure::usage(format!("{name} is not a JSON object")))
        }
        Err(error) => Err(Failure::usage(format!("{name} is not JSON: {error}"))),
    }
}

fn open(path: &str) -> Result<File> {
    File::open(path).map_err(|error| Failure::usage(format!("--json {path}: {error}")))
}

fn read(from: impl Read, name: &str) -> Result<String> {
    let mut text = String::new();
    let mut limited = from.take(LARGEST + 1);
    limited.read_to_string(&mut text).map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
    if limited.limit() == 0 {
        return Err(Failure::usage(format!("{name} is larger than {LARGEST} bytes")));
    }
    Ok(text)
}
