//! The function that does what a schedule or a commit asks for.

use asgard_lambda::events::Events;
use std::process::ExitCode;

fn main() -> ExitCode {
    asgard_lambda::function(|settings| Events::new(settings).serve())
}
