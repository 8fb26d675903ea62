//! Asking servers elsewhere with reqwest, the TLS of the rest (rustls on ring) and the certificates that the machine trusts.

mod reach;

use crate::{
    error::{Code, Error, Result},
    ports::web::{Reach, WebAuth, WebClient, WebError, WebRequest, WebResponse},
};
use async_trait::async_trait;
use reqwest::{Client, ClientBuilder, Response, header, redirect::Policy};
use rustls::{ClientConfig, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt;
use std::{error::Error as StdError, sync::Arc, time::Duration};

/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(5);
/// How much of an error's text is passed on.
const MAX_REASON: usize = 300;

/// A client for the addresses that the operator names, which keeps its connections, and one for each other question.
#[derive(Clone, Debug)]
pub struct Web {
    configured: Client,
    tls: ClientConfig,
}

impl Web {
    /// A client.
    ///
    /// # Errors
    ///
    /// When the machine's certificates cannot be read.
    pub fn new() -> Result<Self> {
        let unusable = |error: String| {
            Error::new(
                Code::Config,
                "The certificates that this machine trusts cannot be used. Install the ca-certificates package, or set SSL_CERT_FILE.",
            )
            .caused_by(error)
        };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| Ok(builder.with_platform_verifier()?.with_no_client_auth()))
            .map_err(|error| unusable(error.to_string()))?;
        let configured = builder(&tls).build().map_err(|error| unusable(reason(error)))?;
        Ok(Self { configured, tls })
    }

    /// A client that dials nothing but what was checked.
    async fn checked(&self, request: &WebRequest) -> Result<Client, WebError> {
        match reach::check(&request.url, request.reach).await? {
            None => Ok(self.configured.clone()),
            Some(reach::Pinned { host, addresses }) => builder(&self.tls)
                .no_proxy()
                .resolve_to_addrs(&host, &addresses)
                .build()
                .map_err(|error| WebError::Broken(reason(error))),
        }
    }
}

fn builder(tls: &ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .redirect(Policy::none())
        .connect_timeout(CONNECT)
        .user_agent(concat!("asgard/", env!("CARGO_PKG_VERSION")))
}

/// An error and its causes without the address, which may hold what nobody else may see.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

fn failed(error: reqwest::Error) -> WebError {
    if error.is_timeout() {
        WebError::TimedOut
    } else if error.is_connect() {
        WebError::Unreachable(reason(error))
    } else {
        WebError::Broken(reason(error))
    }
}

#[async_trait]
impl WebClient for Web {
    async fn send(&self, request: WebRequest) -> Result<WebResponse, WebError> {
        let everything = async {
            let client = self.checked(&request).await?;
            let asked = match &request.form {
                None => client.get(&request.url),
                Some(fields) => {
                    let fields = fields.iter().map(|(name, value)| (*name, value.reveal()));
                    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
                    client
                        .post(&request.url)
                        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                        .body(body)
                }
            };
            let asked = match &request.auth {
                WebAuth::None => asked,
                WebAuth::Basic { user, password } => asked.basic_auth(user, Some(password.reveal())),
                WebAuth::Bearer(token) => asked.bearer_auth(token.reveal()),
            };
            let answer = asked.header(header::ACCEPT, "application/json").send().await.map_err(failed)?;
            read(answer, request.max_bytes).await
        };
        tokio::time::timeout(request.timeout, everything).await.unwrap_or(Err(WebError::TimedOut))
    }
}

async fn read(mut answer: Response, most: usize) -> Result<WebResponse, WebError> {
    let status = answer.status().as_u16();
    let content_type = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.and_then(|text| text.split(';').next()).unwrap_or_default();
    let content_type = content_type.trim().to_ascii_lowercase();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > most {
            return Err(WebError::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(WebResponse { status, content_type, body })
}

/// Whether a test may read what [`Reach::Public`] refuses is decided here and nowhere else: it may not.
#[cfg(test)]
mod tests;
