//! Operations: each loads, authorises, decides and commits.
