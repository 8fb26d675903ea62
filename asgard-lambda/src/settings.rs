//! The settings of a function: Asgard's own, from the environment, and the two that only functions have.

use asgard_lib::{
    Code, Error, Result as Done,
    aws::Aws,
    config::{Environment, LoadOptions, Loaded},
    http::Surface,
    kernel::SecretText,
    runtime::{Cloud, load_settings},
};

/// Which part of the HTTP surface a function answers: `api` or `mcp`; both when it is not set.
pub const SURFACE: &str = "ASGARD_LAMBDA_SURFACE";
/// The function that does jobs, by name or ARN. It is invoked after a commit that appended one.
pub const EVENTS_FUNCTION: &str = "ASGARD_EVENTS_FUNCTION";

/// Only the first sign-in needs it, so only that pays for fetching it by its ARN: a cold start calls nobody.
const ADMIN_PASSWORD: &str = "ASGARD_ADMIN_PASSWORD";

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
    /// The way to AWS, for everything that the function calls there.
    pub aws: Aws,
    /// The first admin's password, where it has to be fetched.
    admin_password: Option<Environment>,
}

impl Settings {
    /// Loads and checks them.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, as text for the operator.
    pub async fn load(mut env: Environment) -> Result<Self, String> {
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
        let aws = Aws::new();
        // What is wrong with the variable itself is refused now, with everything else that is wrong.
        let admin_password = env.by_arn([ADMIN_PASSWORD]).first().map(|secret| env.take(secret));
        let loaded = load(env, &aws).await?;
        Ok(Self { loaded, surface, events, aws, admin_password })
    }

    /// The password that the first admin is to have, if one is configured.
    ///
    /// # Errors
    ///
    /// It cannot be had from where it is.
    pub async fn admin_password(&self) -> Done<Option<SecretText>> {
        let Some(env) = &self.admin_password else { return Ok(self.loaded.config.people.admin_password.clone()) };
        // What a value has to be is for the configuration to say.
        let loaded = load(env.clone(), &self.aws).await.map_err(|why| {
            let message = "Nobody can sign in with a password just now; the function's log says why.";
            Error::new(Code::NotReady, message).retry_after(5).caused_by(why)
        })?;
        Ok(loaded.config.people.admin_password)
    }

    /// The way to AWS, as a runtime takes it.
    pub fn cloud(&self) -> Cloud {
        Cloud::on(self.aws.clone())
    }
}

async fn load(env: Environment, aws: &Aws) -> Result<Loaded, String> {
    let also_known = vec![SURFACE, EVENTS_FUNCTION];
    let options = LoadOptions { file: None, env, bind: Some(ANYWHERE.to_owned()), also_known };
    load_settings(options, &Cloud::on(aws.clone())).await.map_err(|problems| problems.to_string())
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
    async fn a_password_elsewhere_is_not_fetched_to_start_and_its_variable_is_looked_at() {
        // Nothing answers there, and nobody asks.
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:admin-AbCdEf";
        let by_arn = "ASGARD_ADMIN_PASSWORD_SECRET_ARN";
        let settings = Settings::load([(by_arn, arn)].into()).await.unwrap();
        assert!(settings.loaded.config.people.admin_password.is_none() && settings.admin_password.is_some());
        for (more, why) in [
            ([(by_arn, "hunter2"), ("ASGARD_LOG", "info")], "not the ARN of a secret"),
            ([(by_arn, arn), (ADMIN_PASSWORD, "hunter2")], "are both set"),
        ] {
            let error = Settings::load(more.into()).await.unwrap_err();
            assert!(
                error.contains("ASGARD_ADMIN_PASSWORD") && error.contains(why) && !error.contains("hunter2"),
                "{error}"
            );
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
