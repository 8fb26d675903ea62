//! Loading the configuration, with what of it is elsewhere.

use super::cloud::Cloud;
use crate::config::{self, ConfigProblems, LoadOptions, Loaded};

/// Fetches the settings that are given as `X_SECRET_ARN`, then loads and checks the configuration. Calls nobody when there are
/// none.
///
/// # Errors
///
/// Everything that is wrong with the configuration, at once, secrets that could not be had included.
pub async fn load_settings(mut options: LoadOptions, cloud: &Cloud) -> Result<Loaded, ConfigProblems> {
    let wanted = config::secrets_to_fetch(&options.env);
    if !wanted.is_empty() {
        cloud.fetch(&mut options.env, &wanted).await;
    }
    config::load(&options)
}
