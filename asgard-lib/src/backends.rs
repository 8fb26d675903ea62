//! Stores: memory, SQLite, PostgreSQL.
