//! Stores: memory, SQLite, PostgreSQL.

pub mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub mod sql;

pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sql::sqlite::{SqliteOptions, SqliteStore};
