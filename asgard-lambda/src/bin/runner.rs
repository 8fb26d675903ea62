//! The task that carries one run out: `asgard-runner <run id>`.

use std::process::ExitCode;

fn main() -> ExitCode {
    asgard_lambda::runner::main(std::env::args().skip(1).collect())
}
