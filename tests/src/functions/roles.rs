//! What a task of ECS is told of its own role, and AWS STS: both give credentials, and both know who asked for what.

use super::loopback::{Answer, Loopback};
use serde_json::json;
use std::sync::{Arc, Mutex};

/// The stand-in.
pub struct Roles {
    server: Loopback,
    assumed: Arc<Mutex<Vec<String>>>,
}

impl Roles {
    /// The secret access key of the task's own role.
    pub const OWN: &str = "own-key-of-the-task";
    /// The secret access key of whatever role is assumed.
    pub const ASSUMED: &str = "key-of-the-assumed-role";

    /// Starts it.
    pub fn start() -> Self {
        let assumed: Arc<Mutex<Vec<String>>> = Arc::default();
        let asked_for = Arc::clone(&assumed);
        let server = Loopback::serve(move |asked| {
            if asked.line.starts_with("GET /v2/credentials/") {
                return Answer::Json(
                    200,
                    json!({
                        "AccessKeyId": "ASIAOWN", "SecretAccessKey": Self::OWN, "Token": "session-token-of-the-task",
                        "Expiration": "2099-01-01T00:00:00Z", "RoleArn": "arn:aws:iam::000000000000:role/own",
                    }),
                );
            }
            let body = String::from_utf8_lossy(&asked.body).into_owned();
            assert!(body.contains("Action=AssumeRole"), "{} {body}", asked.line);
            let credential = asked.header("authorization").to_owned();
            asked_for.lock().expect("nobody panicked while writing").push(format!("{credential} {body}"));
            Answer::Xml(format!(
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
                 <AccessKeyId>ASIAASSUMED</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>session-token-of-the-assumed-role</SessionToken>\
                 <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/x/y</Arn>\
                 <AssumedRoleId>AROAX:y</AssumedRoleId></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>",
                Self::ASSUMED
            ))
        });
        Self { server, assumed }
    }

    /// The address of STS.
    pub fn sts(&self) -> String {
        self.server.url()
    }

    /// The address of the task's own credentials.
    pub fn own(&self) -> String {
        format!("{}/v2/credentials/0b1c2d3e", self.server.url())
    }

    /// What was asked of STS, with who signed it.
    pub fn assumed(&self) -> Vec<String> {
        self.assumed.lock().expect("nobody panicked while writing").clone()
    }
}
