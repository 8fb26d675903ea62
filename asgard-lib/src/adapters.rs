//! Implementations of the ports that are not stores: keys, secrets, runners.
