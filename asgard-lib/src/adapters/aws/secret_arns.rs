//! Fetches the settings that are in AWS Secrets Manager, before the configuration is judged.

use crate::{
    aws::{Aws, Fault, Trouble, Unlogged},
    config::{Environment, SecretVariable},
    error::Code,
    kernel::SecretText,
};
use aws_sdk_secretsmanager::Client;
use futures_util::future::join_all;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// How long all secrets together may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Fetches each secret once, all of them at once, and tells the environment what became of it. What could not be had is a
/// problem of the variable that names it, for the configuration to report with all others.
pub async fn fetch(aws: &Aws, environment: &mut Environment, wanted: &[SecretVariable]) {
    let until = Instant::now() + PATIENCE;
    let secrets: BTreeSet<(&str, &str)> = wanted.iter().map(|wanted| (wanted.arn.arn(), wanted.arn.region())).collect();
    let fetching = secrets.into_iter().map(async |(arn, region)| {
        let found = timeout_at(until, fetch_one(aws, arn, region)).await;
        let late = || format!("AWS did not give the secret {arn} within {} seconds", PATIENCE.as_secs());
        (arn, found.unwrap_or_else(|_| Err(late())))
    });
    let found: BTreeMap<&str, Result<SecretText, String>> = join_all(fetching).await.into_iter().collect();
    for wanted in wanted {
        if let Some(found) = found.get(wanted.arn.arn()) {
            environment.fetched(wanted, found.clone());
        }
    }
}

async fn fetch_one(aws: &Aws, arn: &str, region: &str) -> Result<SecretText, String> {
    let sdk = aws.sdk_in(Some(region)).await.map_err(|error| error.to_string())?;
    let answer = Client::new(&sdk).get_secret_value().secret_id(arn).send().unlogged().await;
    let answer = answer.map_err(|error| {
        let fault = Fault::of(&error);
        let usual = fault.usual(Code::KeyUnavailable, "secretsmanager:GetSecretValue", &format!("the secret {arn}"));
        match (usual, fault.code()) {
            (Some(error), _) if fault.trouble == Trouble::Unavailable => format!("{error} ({fault})"),
            (Some(error), _) => error.to_string(),
            (None, "ResourceNotFoundException") => format!("there is no secret {arn}, or it has no value"),
            (None, "InvalidRequestException") => format!("the secret {arn} is scheduled for deletion; restore it"),
            (None, "DecryptionFailure") => {
                format!("AWS cannot decrypt the secret {arn}; look at its KMS key ({fault})")
            }
            (None, _) => format!("AWS refuses the secret {arn} ({fault})"),
        }
    })?;
    let text = answer.secret_string.map(SecretText::new);
    text.ok_or_else(|| format!("the secret {arn} is binary; a setting is text"))
}

#[cfg(test)]
mod tests;
