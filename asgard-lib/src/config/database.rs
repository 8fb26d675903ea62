//! Where records live, and the key that protects secrets at rest.

use super::{
    section::section,
    spec::at,
    value::{KmsKeyId, MasterKey},
};
pub use crate::kernel::DatabaseLocation;
use crate::kernel::SchemaName;
use std::path::PathBuf;

section! {
    /// The database.
    pub struct Database {
        /// `sqlite://asgard.db`, `sqlite:///data/asgard.db`, `postgres://user:password@host:5432/asgard?sslmode=require` or
        /// `dynamodb://table?region=eu-west-1`.
        location: DatabaseLocation = DatabaseLocation::Sqlite { path: PathBuf::from("asgard.db") },
            at("database.url").env("ASGARD_DATABASE_URL").secret();
        /// The PostgreSQL schema that holds Asgard's tables, where the database is shared with other programs or with another
        /// Asgard. `asgard migrate` makes it if it is not there. A database that was set up without the setting goes on
        /// without it; its tables are not moved.
        schema: Option<SchemaName> = None, at("database.schema")
            .env("ASGARD_DATABASE_SCHEMA")
            .default_note("the first schema of the connection's `search_path`, which is `public` unless the server says otherwise");
        /// How many connections are kept to PostgreSQL, or readers to SQLite.
        max_connections: u32 = 10, at("database.max_connections").unit("connections").range(1, 1000);
        /// How long the server waits for its database at start; `/readyz` answers 503 until then.
        startup_wait_secs: u64 = 60, at("database.startup_wait_secs").unit("seconds").range(0, 3600);
    }
}

section! {
    /// The keys as they are set, before it is known whether they suit the database.
    pub(super) struct RawKeys {
        /// The master key: 64 hex digits. It protects every secret and every Terraform state; keep it as carefully as
        /// the database. Make one with `openssl rand -hex 32`.
        current: Option<MasterKey> = None, at("provisioning.secrets.master_key_hex")
            .env("ASGARD_SECRET_KEY")
            .secret()
            .default_note("SQLite without ASGARD_KMS_KEY_ID: a key is generated into a file beside the database; PostgreSQL and DynamoDB: none, and without ASGARD_KMS_KEY_ID the server refuses to start");
        /// Master keys that were in use before, while the master key is being changed: 64 hex digits each, separated by
        /// commas in the variable.
        previous: Vec<MasterKey> = Vec::new(), at("provisioning.secrets.previous_master_keys_hex")
            .env("ASGARD_SECRET_KEY_PREVIOUS")
            .secret();
        /// A symmetric key in AWS KMS that is the master key instead: its ARN, its id or an alias. With an ARN nothing has to
        /// be looked up at start. Needs the feature `aws` and the rights `kms:GenerateDataKey`, `kms:Decrypt` and, unless it
        /// is a key's ARN, `kms:DescribeKey`.
        kms: Option<KmsKeyId> = None, at("provisioning.secrets.kms_key_id").env("ASGARD_KMS_KEY_ID");
        /// KMS keys that were the master key before, while it is being changed; separated by commas in the variable.
        previous_kms: Vec<KmsKeyId> = Vec::new(), at("provisioning.secrets.previous_kms_key_ids")
            .env("ASGARD_KMS_KEY_ID_PREVIOUS");
    }
}

/// The master key, and those before it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Keys {
    /// Where the present master key comes from.
    pub source: KeySource,
    /// Master keys that still open what they sealed.
    pub previous: Vec<MasterKey>,
    /// The same in AWS KMS.
    pub previous_kms: Vec<KmsKeyId>,
}

/// Where the master key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// It was configured.
    Given(MasterKey),
    /// AWS KMS holds it.
    Kms(KmsKeyId),
    /// It is in this file, which is made (readable by its owner only) when it is not there.
    GeneratedFile {
        /// The file, beside the SQLite database.
        path: PathBuf,
    },
}
