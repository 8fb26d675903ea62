//! On EC2 the instance metadata service gives the role of the machine to every process on it. A module of Terraform may ask for it like
//! Asgard does, and no rule about files or memory keeps it from that.

use crate::{
    config::Terraform,
    error::{Code, Error, Result},
};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long the service may take: it is on the machine. Elsewhere nobody answers at its address.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest answer that is read.
const MAX: u64 = 64 << 10;

/// Refuses to be armed where a module would have the role of the machine, unless that is accepted.
pub(super) async fn refuse(terraform: &Terraform) -> Result<()> {
    let at = terraform.instance_metadata;
    let offered = match timeout(PATIENCE, role(at)).await {
        Ok(Ok(role)) => role,
        Ok(Err(_)) | Err(_) => None,
    };
    let Some(role) = offered else { return Ok(()) };
    if terraform.accept_instance_role {
        tracing::warn!(
            role,
            "Every module of Terraform may have the role of this machine: provisioning.terraform.accept_instance_role says so."
        );
        return Ok(());
    }
    let message = format!(
        "Provisioning is armed, and the instance metadata service at {at} would give every module of Terraform the role of this machine ({role}), \
         with all that Asgard may do by it. Close that service to Asgard (a container with a hop limit of 1, a firewall rule for its user) and give \
         Asgard its rights otherwise, or accept it with ASGARD_TF_ACCEPT_INSTANCE_ROLE=true or provisioning.terraform.accept_instance_role."
    );
    Err(Error::new(Code::Config, message).at("provisioning.terraform.accept_instance_role"))
}

/// The name of the role that the service offers, if there is one.
async fn role(at: SocketAddr) -> io::Result<Option<String>> {
    let (status, token) = ask(at, "PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 60").await?;
    // The first version of the service knows no tokens.
    let header = if status == 200 && is_token(&token) {
        format!("X-aws-ec2-metadata-token: {token}")
    } else {
        "X-None: 1".to_owned()
    };
    let (status, roles) = ask(at, "GET", "/latest/meta-data/iam/security-credentials/", &header).await?;
    let first = roles.lines().map(str::trim).find(|line| !line.is_empty());
    let shown = |name: &str| name.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    Ok(first.filter(|_| status == 200).map(shown))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

async fn ask(at: SocketAddr, method: &str, path: &str, header: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(at).await?;
    let asked =
        format!("{method} {path} HTTP/1.0\r\nHost: {at}\r\n{header}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(asked.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.map(|status| (status, body.to_owned())).ok_or_else(|| io::Error::other("no answer of HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A metadata service that answers so, one connection after the other, and keeps what it was asked.
    async fn service(answers: &'static [(u16, &'static str)]) -> (SocketAddr, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut asked = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = vec![0; 4096];
                let read = stream.read(&mut bytes).await.unwrap();
                asked.push(String::from_utf8_lossy(&bytes[..read]).into_owned());
                stream
                    .write_all(format!("HTTP/1.1 {status} X\r\nServer: EC2ws\r\n\r\n{body}").as_bytes())
                    .await
                    .unwrap();
            }
            asked
        });
        (at, serving)
    }

    fn terraform(at: SocketAddr, accept: bool) -> Terraform {
        Terraform {
            bin: "terraform".into(),
            modules_dir: None,
            work_dir: "/tmp".into(),
            provider_mirror: None,
            readable: Vec::new(),
            accept_instance_role: accept,
            instance_metadata: at,
            timeout_secs: 60,
            concurrency: 1,
        }
    }

    #[tokio::test]
    async fn a_machine_whose_role_modules_would_have_is_refused() {
        let (at, serving) = service(&[(200, "token-1"), (200, "asgard-role")]).await;
        let error = refuse(&terraform(at, false)).await.unwrap_err();
        assert_eq!(error.code(), Code::Config);
        assert!(
            error.message().contains("asgard-role") && error.message().contains("ASGARD_TF_ACCEPT_INSTANCE_ROLE"),
            "{error}"
        );
        let asked = serving.await.unwrap();
        assert!(
            asked[0].starts_with("PUT /latest/api/token ") && asked[1].contains("X-aws-ec2-metadata-token: token-1"),
            "{asked:?}"
        );
        let (at, _) = service(&[(403, ""), (200, "old-service")]).await;
        assert!(refuse(&terraform(at, false)).await.is_err(), "a service without tokens");
        let (at, _) = service(&[(200, "token-1"), (200, "asgard-role")]).await;
        refuse(&terraform(at, true)).await.unwrap();
    }

    #[tokio::test]
    async fn no_service_and_no_role_are_no_reason() {
        for answers in [&[(200, "token-1"), (404, "")][..], &[(200, "t"), (200, "\n")], &[(404, ""), (401, "")]] {
            let (at, _) = service(answers).await;
            refuse(&terraform(at, false)).await.unwrap();
        }
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        refuse(&terraform(closed, false)).await.unwrap();
        // One that takes connections and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        refuse(&terraform(silent.local_addr().unwrap(), false)).await.unwrap();
    }
}
