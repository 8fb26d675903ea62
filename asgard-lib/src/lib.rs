//! A governance control plane for agents and the people who answer for them, as a library.
//!
//! An agent or a person asks for something: a project, a key, a database, a secret. A policy decides, or a person who may. The
//! decision and its audit record are committed together or not at all, a worker carries it out, and what came of it is committed
//! too. REST, MCP and a dashboard are routers that a host mounts; everything they do can be called in the same process.
//!
//! # A control plane in a process
//!
//! A database in memory, the master key of a test, and what is asked for is carried out as a dry run:
//!
//! ```
//! use asgard_lib::{
//!     app::{Call, people::{Vouched, vouched_for}, projects::RegisterProject, requests::{GetRequest, RequestResource}},
//!     backends::{MemoryStore, Opened},
//!     config::{Config, MasterKey},
//!     domain::request::RequestStatus,
//!     foreign::tokio_util::sync::CancellationToken,
//!     kernel::{DisplayName, Email, ResourceName, Role, Slug},
//!     runtime::Runtime,
//! };
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let database = Opened::new(MemoryStore::new());
//! let runtime = Runtime::builder(Config::default()).database(database).master_key(MasterKey::new([7; 32])).open().await?;
//! let background = runtime.spawn_background(&CancellationToken::new());
//! let app = runtime.app();
//!
//! // Ann is signed in, says the host.
//! let ann = vouched_for(app, &Vouched::new("ann@corp.example".parse()?, Role::Member)).await?;
//! let call = Call::by(ann, app.new_trace());
//! let (ann, bob): (Email, Email) = ("ann@corp.example".parse()?, "bob@corp.example".parse()?);
//! let register = RegisterProject::builder().name("Pilot".parse::<DisplayName>()?).owner_email(ann).manager_email(bob);
//! let project = app.run(&call, &register.group("platform".parse::<Slug>()?).build()).await?.project_id;
//! let ask = RequestResource::builder().project_id(project).service("random-secret".parse::<Slug>()?);
//! let ask = ask.name("token".parse::<ResourceName>()?).build();
//! let request = app.run(&call, &ask).await?.request.request_id;
//!
//! let get = GetRequest::builder().request_id(request).wait_s(20u32).build();
//! assert_eq!(app.run(&call, &get).await?.status, RequestStatus::Fulfilled);
//!
//! background.stop(std::time::Duration::from_secs(20)).await;
//! runtime.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! `docs/embedding.md` of the repository goes on from there: sign-in, store, secrets, runner, clock, services, operations,
//! policy, events, log and database schema of the host's own. `examples/` has whole services.
//!
//! # Where to begin
//!
//! | module | what is in it |
//! |---|---|
//! | [`runtime`] | putting it together: [`Runtime::builder`](runtime::Runtime::builder) |
//! | [`app`] | [`Asgard`](app::Asgard), the operations by area, and [`Operation`](app::Operation) for one's own |
//! | `http` | the routers, the state that requests share, `HostUser` (feature `http`) |
//! | [`ports`] | what is needed from outside, as traits to implement: store, secrets, key wrapper, runner, clock |
//! | [`config`] | every setting |
//! | [`domain`], [`kernel`] | the rules, and the words that they are said in |
//! | `contract` | the public test suite for stores, secrets and key wrappers (feature `contract`) |
//!
//! # Features
//!
//! What each costs: crates beside the 135 of the core, and seconds of one core in a debug build beside the 90 of the core. Features
//! share crates, so several together cost less than their sum; the defaults together are 61 crates and 42 s.
//!
//! | feature | what it adds | crates | seconds |
//! |---|---|---|---|
//! | `sqlite` (default) | SQLite | 6 | 8 |
//! | `http` (default) | REST, OpenAPI, probes, metrics, a listener | 42 | 19 |
//! | `mcp` (default) | MCP at `/mcp`; includes `http` | 56 | 34 |
//! | `dashboard` | the dashboard; includes `http` | 50 | 27 |
//! | `postgres` | PostgreSQL | 76 | 33 |
//! | `dynamodb` | DynamoDB | 89 | 77 |
//! | `aws` | KMS, Secrets Manager, runs on Fargate | 91 | 119 |
//! | `terraform` | runs of Terraform as processes | 3 | 4 |
//! | `logging` | log lines for programs that start a log of their own | 7 | 2 |
//! | `contract` | the public test suite with its fault decorators | 7 | 5 |
//!
//! # Rust version
//!
//! The minimum is the `rust-version` of `Cargo.toml`, 1.95. It rises only with a minor version of Asgard, and never past the
//! release of Rust before the latest one.
//!
//! # Types of other crates
//!
//! Signatures here have types of a few other crates in them. [`foreign`] has those crates, in the versions that are meant, so
//! that a host need not keep step with them in its own `Cargo.toml`.

#![warn(missing_docs, missing_debug_implementations, unreachable_pub, unnameable_types)]

pub mod adapters;
pub mod app;
#[cfg(any(feature = "dynamodb", feature = "aws"))]
pub mod aws;
pub mod backends;
pub mod config;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod domain;
mod error;
#[cfg(feature = "http")]
pub mod http;
pub mod kernel;
#[cfg(feature = "logging")]
pub mod logging;
pub mod ports;
pub mod runtime;

pub use error::{Code, Error, Kind, Result};

/// The crates whose types stand in signatures here, in the versions that are meant.
///
/// Their derive macros look for a crate of its usual name, so whoever derives `Deserialize` or `JsonSchema` for a command of
/// their own has `serde` and `schemars` in their `Cargo.toml`, or says `#[serde(crate = "...")]` and `#[schemars(crate = "...")]`.
///
/// Types of `futures_core` are those of `futures_util`, which has them again; those of `aws_types` are `aws_config`'s, and those of
/// `axum_core`, `serde_core` and `tracing_core` are `axum`'s, `serde`'s and `tracing`'s.
pub mod foreign {
    pub use async_trait::async_trait;
    #[cfg(any(feature = "aws", feature = "dynamodb"))]
    pub use aws_config;
    #[cfg(feature = "dynamodb")]
    pub use aws_sdk_dynamodb;
    #[cfg(feature = "aws")]
    pub use aws_sdk_ecs;
    #[cfg(feature = "http")]
    pub use axum;
    pub use bytes;
    pub use futures_util;
    #[cfg(feature = "http")]
    pub use http;
    pub use ipnet;
    pub use schemars;
    pub use serde;
    pub use serde_json;
    #[cfg(feature = "postgres")]
    pub use sqlx;
    pub use tokio;
    pub use tokio_util;
    pub use tracing;
    #[cfg(feature = "logging")]
    pub use tracing_subscriber;
    pub use zeroize;
}

/// The pages for embedders, whose code is compiled with the tests.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../../docs/embedding.md")]
mod embedding {}
