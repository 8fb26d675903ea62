//! The settings of a function: Asgard's own, from the environment, and the two that only functions have.

use asgard_lib::{
    config::{Environment, LoadOptions, Loaded},
    http::Surface,
    runtime::load_settings,
};

/// Which part of the HTTP surface a function answers: `api` or `mcp`; both when it is not set.
pub const SURFACE: &str = "ASGARD_LAMBDA_SURFACE";
/// The function that does jobs, by name or ARN. It is invoked after a commit that appended one.
pub const EVENTS_FUNCTION: &str = "ASGARD_EVENTS_FUNCTION";

/// Nothing listens here. An address that everybody may reach keeps what is meant for loopback listeners off: working
/// without sign-in, and open metrics.
const ANYWHERE: &str = "0.0.0.0:8080";

/// The settings of a function.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Asgard's own.
    pub loaded: Loaded,
    /// What is mounted.
    pub surface: Surface,
    /// The function that does jobs.
    pub events: Option<String>,
}

impl Settings {
    /// Loads and checks them.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, as text for the operator.
    pub async fn load(env: Environment) -> Result<Self, String> {
        let surface = match env.get(SURFACE).map(|text| text.reveal().to_owned()).as_deref() {
            None => Surface::All,
            Some("api") => Surface::Api,
            Some("mcp") => Surface::Mcp,
            Some(_) => return Err(format!("{SURFACE}: set `api` or `mcp`, or leave it out for both")),
        };
        let events = env.get(EVENTS_FUNCTION).map(|text| text.reveal().to_owned());
        if events.as_ref().is_some_and(|name| !is_function(name)) {
            return Err(format!("{EVENTS_FUNCTION}: set the name or the ARN of a Lambda function"));
        }
        let also_known = vec![SURFACE, EVENTS_FUNCTION];
        let options = LoadOptions { file: None, env, bind: Some(ANYWHERE.to_owned()), also_known };
        let loaded = load_settings(options).await.map_err(|problems| problems.to_string())?;
        Ok(Self { loaded, surface, events })
    }
}

fn is_function(name: &str) -> bool {
    (1..=170).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:$".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_wrong_is_named_with_what_is_allowed() {
        for (name, value, allowed) in [
            (SURFACE, "rest", "`api` or `mcp`"),
            (EVENTS_FUNCTION, "a b", "the name or the ARN"),
            ("ASGARD_LOG_FORMAT", "xml", "json"),
        ] {
            let error = Settings::load([(name, value)].into()).await.unwrap_err();
            assert!(error.contains(name) && error.contains(allowed), "{error}");
        }
    }

    #[tokio::test]
    async fn a_function_is_never_a_loopback_listener() {
        let environment = [("ASGARD_BIND", "127.0.0.1:80"), ("ASGARD_DEV_INSECURE", "true"), (SURFACE, "mcp")];
        let settings = Settings::load(environment.into()).await.unwrap();
        let server = &settings.loaded.config.server;
        assert!(!server.is_loopback() && !server.dev_insecure);
        assert!(settings.loaded.warnings.iter().any(|warning| warning.contains("ASGARD_DEV_INSECURE")));
        assert_eq!(settings.surface, Surface::Mcp);
    }
}
