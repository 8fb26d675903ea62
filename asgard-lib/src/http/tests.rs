//! The surfaces as clients meet them.

mod rest;
