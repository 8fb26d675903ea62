//! Leaves the tables for unwinding out of functions that are optimised for size (see `.cargo/config.toml`): they abort when they
//! panic, so nothing ever reads the tables, and they are a sixth of the program.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "this is how a build script talks with cargo")]

use std::{env, path::Path};

fn main() -> Result<(), env::VarError> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=functions.ld");
    // Nobody else is optimised like that. Programs that unwind, tests among them, keep their tables.
    if env::var("OPT_LEVEL")? != "z" {
        return Ok(());
    }
    let script = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("functions.ld");
    for function in ["http", "events"] {
        println!("cargo::rustc-link-arg-bin={function}=-Wl,--no-eh-frame-hdr");
        println!("cargo::rustc-link-arg-bin={function}=-Wl,-T,{}", script.display());
    }
    Ok(())
}
