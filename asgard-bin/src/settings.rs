//! Loading the configuration for a command.

use crate::failure::Result;
use asgard_lib::{
    config::{Environment, LoadOptions, Loaded},
    runtime::{Cloud, load_settings},
};
use std::path::PathBuf;

/// Variables of the command line client. The server knows them so that it does not warn of them.
pub const CLIENT_URL: &str = "ASGARD_URL";
/// The credential of the command line client.
pub const CLIENT_TOKEN: &str = "ASGARD_TOKEN";
/// A file that holds it.
pub const CLIENT_TOKEN_FILE: &str = "ASGARD_TOKEN_FILE";

/// Loads the file and the environment, and fetches what is in AWS Secrets Manager; refuses with everything that is wrong.
pub fn load(file: Option<PathBuf>, bind: Option<String>) -> Result<Loaded> {
    load_from(Environment::from_process(), &Cloud::default(), file, bind)
}

/// The same from an environment that is not this process's own.
pub fn load_from(env: Environment, cloud: &Cloud, file: Option<PathBuf>, bind: Option<String>) -> Result<Loaded> {
    let options = LoadOptions { file, env, bind, also_known: vec![CLIENT_URL, CLIENT_TOKEN] };
    let loaded = crate::process::one_thread()?.block_on(load_settings(options, cloud))?;
    // A filter that cannot be read would otherwise be found out only when the log is needed.
    crate::logging::filter(&loaded, crate::logging::Talk::Usual)?;
    Ok(loaded)
}
