//! Asgard as a library.

pub mod adapters;
pub mod app;
#[cfg(any(feature = "dynamodb", feature = "aws"))]
pub mod aws;
pub mod backends;
pub mod config;
#[cfg(feature = "contract")]
pub mod contract;
pub mod domain;
pub mod error;
#[cfg(feature = "http")]
pub mod http;
pub mod kernel;
#[cfg(feature = "logging")]
pub mod logging;
pub mod ports;
pub mod runtime;

pub use error::{Code, Error, Kind, Result};
