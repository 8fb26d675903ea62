//! What the crate promises from outside, as one program: what needs a feature is left out without it.

#[cfg(all(feature = "aws", feature = "contract", feature = "sqlite"))]
#[path = "aws/main.rs"]
mod aws;
#[cfg(all(feature = "contract", feature = "sqlite", feature = "postgres", feature = "dynamodb"))]
#[path = "contract/main.rs"]
mod contract;
mod layers;
mod surface;
