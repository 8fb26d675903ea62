//! Stores: memory, SQLite, PostgreSQL.

pub mod memory;

pub use memory::MemoryStore;
