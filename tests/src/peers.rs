//! Where the peers are.

use std::{
    env,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The peers that `tests/run` started or found.
#[derive(Debug)]
pub struct Peers {
    /// A PostgreSQL server in which databases may be made.
    pub postgres_url: String,
    /// A hot standby of that server, for the one test that promotes it.
    pub standby_url: String,
    /// Another server, for the one test that makes it read-only.
    pub pair_primary_url: String,
    /// Its hot standby, which that test promotes.
    pub pair_standby_url: String,
    /// A PgBouncer in transaction mode, in front of the first server.
    pub transaction_pooler_url: String,
    /// One in session mode.
    pub session_pooler_url: String,
    /// An emulator of DynamoDB.
    pub dynamodb_url: String,
    /// A browser.
    pub chromium: PathBuf,
    /// Its WebDriver server.
    pub chromedriver: PathBuf,
    /// The folder whose `node_modules` holds the official MCP client.
    pub node_dir: PathBuf,
    /// The Node that its clients run on.
    pub node: PathBuf,
    /// The engine.
    pub terraform: PathBuf,
    /// Where screenshots go.
    pub artefacts: PathBuf,
    /// How often each kill test kills.
    pub kills: u32,
    /// The binary under test.
    pub asgard: PathBuf,
}

#[allow(clippy::disallowed_methods, reason = "these variables are the tests' own, not settings of Asgard")]
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

pub(crate) fn needed(name: &str) -> String {
    variable(name).unwrap_or_else(|| {
        panic!(
            "{name} is not set. Run `tests/run`; or run `tests/run --peers` and `. tests/.peers/env` in another shell."
        )
    })
}

/// Beside the test programs: cargo puts them into `target/<profile>/deps`, and other programs into `target/<profile>`.
fn built(name: &str) -> PathBuf {
    let program = env::current_exe().expect("a test program has a path");
    program.parent().and_then(Path::parent).map(|folder| folder.join(name)).expect("a test program lies in a folder")
}

/// The program of an example, by its package's name. `tests/run` builds it with everything else.
pub fn example(package: &str) -> PathBuf {
    let program = built(package);
    assert!(
        program.is_file(),
        "there is no program at {}. Build it with `cargo build -p {package}`.",
        program.display()
    );
    program
}

impl Peers {
    /// The peers.
    pub fn get() -> &'static Self {
        static PEERS: OnceLock<Peers> = OnceLock::new();
        PEERS.get_or_init(|| {
            let asgard = variable("ASGARD_BIN").map_or_else(|| built("asgard"), PathBuf::from);
            assert!(
                asgard.is_file(),
                "there is no asgard binary at {}. Build it with `cargo build -p asgard-bin`, or set ASGARD_BIN.",
                asgard.display()
            );
            let artefacts = PathBuf::from(needed("ASGARD_TEST_ARTEFACTS"));
            std::fs::create_dir_all(&artefacts).expect("the folder for artefacts can be made");
            Self {
                postgres_url: needed("ASGARD_TEST_POSTGRES_URL"),
                standby_url: needed("ASGARD_TEST_STANDBY_URL"),
                pair_primary_url: needed("ASGARD_TEST_PAIR_PRIMARY_URL"),
                pair_standby_url: needed("ASGARD_TEST_PAIR_STANDBY_URL"),
                transaction_pooler_url: needed("ASGARD_TEST_TRANSACTION_POOLER_URL"),
                session_pooler_url: needed("ASGARD_TEST_SESSION_POOLER_URL"),
                dynamodb_url: needed("ASGARD_TEST_DYNAMODB_URL"),
                chromium: needed("ASGARD_TEST_CHROMIUM").into(),
                chromedriver: needed("ASGARD_TEST_CHROMEDRIVER").into(),
                node_dir: needed("ASGARD_TEST_NODE_DIR").into(),
                node: needed("ASGARD_TEST_NODE").into(),
                terraform: needed("ASGARD_TEST_TERRAFORM").into(),
                artefacts,
                kills: variable("ASGARD_TEST_KILLS")
                    .map_or(3, |text| text.parse().expect("ASGARD_TEST_KILLS is a number")),
                asgard,
            }
        })
    }
}
