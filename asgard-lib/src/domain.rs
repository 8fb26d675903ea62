//! Pure rules: no async, no clock, no randomness, no I/O.
