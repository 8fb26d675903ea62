//! The surfaces as clients meet them.

mod mcp;
mod rest;
