//! What went wrong, as the port says it.

use asgard_lib::ports::store::StoreError;

/// A failure inside a transaction. None of them leaves anything written: a transaction that is dropped never happened.
pub struct Fault(pub StoreError);

impl Fault {
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self(StoreError::Corrupt(what.into()))
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        Self(match error {
            redb::Error::Corrupted(what) => StoreError::Corrupt(what),
            redb::Error::TableDoesNotExist(table) => {
                StoreError::Corrupt(format!("there is no table {table}: the database was never migrated"))
            }
            redb::Error::TableTypeMismatch { .. } | redb::Error::TypeDefinitionChanged { .. } => {
                StoreError::Corrupt(error.to_string())
            }
            other => StoreError::Unavailable(Box::new(other)),
        })
    }
}

macro_rules! from {
    ($($error:ty),*) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                redb::Error::from(error).into()
            }
        }
    )*};
}

from!(redb::StorageError, redb::TableError, redb::TransactionError);
