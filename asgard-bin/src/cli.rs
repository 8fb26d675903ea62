//! The command line: names, flags and help texts. What the commands do is in [`crate::commands`].

use asgard_lib::kernel::{Email, ProjectId, Role, RunId, Username};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A governance control plane for agents and the people who answer for them.
///
/// Agents and people ask for things; a policy decides; the decision and its audit record are committed together; workers
/// carry it out. `asgard serve` runs all of it on one port. The other commands are what an operator does beside the server,
/// and a client for a running one.
#[derive(Debug, Parser)]
#[command(name = "asgard", version, propagate_version = true, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 unreachable or not signed in.")]
pub struct Cli {
    /// The configuration file; without it ASGARD_CONFIG names one, and without that there is none
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: dashboard, API and MCP on one port, with the background work
    ///
    /// The database is brought up to date first. On the first start an admin is made; without ASGARD_ADMIN_PASSWORD its
    /// password is generated and printed once, on a line with `password:`. SIGTERM or ctrl-C stops taking requests, lets
    /// the present ones finish and hands leases back; a second signal stops at once.
    Serve {
        /// The address to listen on, such as 127.0.0.1:8080; wins over ASGARD_BIND and the file
        #[arg(long, value_name = "ADDRESS")]
        bind: Option<String>,
    },
    /// Bring the database's tables up to date, which `serve` does by itself
    Migrate {
        /// Change nothing; fail when something is left to do
        #[arg(long)]
        check: bool,
    },
    /// Check, show and explain the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look after the keys that secrets and states are encrypted with
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Verify and anchor the audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Make accounts and reset passwords without signing in
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Check service manifests as the catalogue would
    Validate {
        /// The manifests: files named service.yaml, beside their Terraform files
        #[arg(required = true, value_name = "SERVICE.YAML")]
        manifests: Vec<PathBuf>,
    },
    /// Ask the server of this configuration whether it is ready, as a health check does
    ///
    /// Asks the address that the configuration listens on, from the same machine. Nothing is fetched for it: where only a file in
    /// AWS Secrets Manager names the address, set ASGARD_BIND as well.
    Health {
        /// Only whether the process answers, not whether it can work: for checks that replace what fails them
        #[arg(long)]
        live: bool,
    },
    /// Do the background work without serving requests
    Worker,
    /// Supervise one Terraform run; the server starts this by itself
    Run {
        /// The run's id
        #[arg(value_name = "RUN_ID")]
        run: RunId,
        /// Read settings and credentials from standard input, besides the environment
        #[arg(long, hide = true)]
        settings_from_stdin: bool,
    },
    /// List the tools of a running server
    Tools {
        #[command(flatten)]
        server: ServerArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Call a tool of a running server
    ///
    /// Arguments are read by the tool's input schema: `--arg wait_s=5` is a number where the tool takes a number. Dots reach
    /// into objects (`--arg spec.seconds=2`), and where the schema says nothing a value that is JSON is taken as JSON, so
    /// write `--arg 'spec.version="16"'` for the text 16.
    #[command(
        after_help = "Examples:\n  asgard call list_services\n  asgard call request_resource --arg service=local-demo --arg name=demo --arg spec.seconds=2\n  echo '{\"request_id\": \"req_...\"}' | asgard call approve_request --json -"
    )]
    Call(CallArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether it starts processes that somebody has to look after until their end.
    pub fn starts_processes(&self) -> bool {
        match self {
            Self::Serve { .. } | Self::Worker | Self::Run { .. } => true,
            Self::Migrate { .. }
            | Self::Config(_)
            | Self::Keys(_)
            | Self::Audit(_)
            | Self::Admin(_)
            | Self::Validate { .. }
            | Self::Health { .. }
            | Self::Tools { .. }
            | Self::Call(_)
            | Self::Completions { .. } => false,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say everything that is wrong with the configuration, with the line
    Check,
    /// Print every setting in force and where it came from; secrets are left out
    Show,
    /// Print the reference of all settings, as Markdown
    Reference,
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List the data keys: state, what is under them, and the master keys that open them
    Status {
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Start using a new data key and encrypt everything again, while the server runs
    ///
    /// A running server or worker does the work; this command only starts it. The new key is used after two minutes, when
    /// every replica knows it, and the old one is retired once nothing is under it any more.
    Rotate {
        /// Wait until the old keys are retired, doing the work here as well; takes eight minutes or more
        #[arg(long)]
        wait: bool,
    },
    /// Forget the wraps under master keys that are not configured any more
    ///
    /// The last step of changing the master key: run it when every replica has the new one. A replica that only has the old
    /// one cannot start afterwards.
    DropStale,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Compute every hash and mark of the log again, and say what is not as it was sealed and what cannot be known
    ///
    /// Works on the database itself, with the master key. Fails when something is not as it was sealed.
    Verify {
        /// A file with anchors that were kept outside: a log of the server's, or the file of audit.anchor_file; may be given
        /// more than once
        #[arg(long, value_name = "FILE")]
        anchors: Vec<PathBuf>,
        /// Only the chain of this project
        #[arg(long, value_name = "PROJECT_ID")]
        project: Option<ProjectId>,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Print where every chain ends as anchors, one a line, to keep where nobody can change them
    Anchors,
}

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Make an account
    CreateUser {
        /// The username
        username: Username,
        /// The e-mail address; projects find their owner by it
        #[arg(long)]
        email: Email,
        /// What the account may do across projects
        #[arg(long, value_enum, default_value_t = RoleArg::Member)]
        role: RoleArg,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Set an account's password and end its sessions and user tokens
    ResetPassword {
        /// The username
        username: Username,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// End every session and user token of an account, at once and for good
    SignOut {
        /// The username
        username: Username,
    },
}

/// Where a new password comes from. There is no flag that takes it: command lines are seen by others.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct PasswordArgs {
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// Generate the password and print it once; so it is without a terminal
    #[arg(long)]
    pub generate: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RoleArg {
    /// Runs Asgard: users, any project, any approval that separation of duties allows
    Admin,
    /// Reads cost and audit, and nothing else
    Finance,
    /// Registers projects and works on those they own or manage
    Member,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Admin => Self::Admin,
            RoleArg::Finance => Self::Finance,
            RoleArg::Member => Self::Member,
        }
    }
}

#[derive(Debug, Args)]
pub struct CallArgs {
    /// The tool's name; `asgard tools` lists them
    pub tool: String,
    /// One argument; dots reach into objects
    #[arg(short, long = "arg", value_name = "NAME=VALUE", conflicts_with = "json")]
    pub args: Vec<String>,
    /// All arguments as a JSON object: `-` reads standard input, a name that is no JSON reads a file
    #[arg(long, value_name = "JSON|FILE|-")]
    pub json: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Which server, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// The server's address; without it ASGARD_URL, and without that http://localhost:8080
    #[arg(long)]
    pub url: Option<String>,
    /// A file with the credential: a user token or a project key; without it ASGARD_TOKEN or ASGARD_TOKEN_FILE
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct OutputArgs {
    /// How to print what comes back
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// As it is
    Json,
    /// As it is, in YAML
    Yaml,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
