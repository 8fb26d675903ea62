//! Asgard.
