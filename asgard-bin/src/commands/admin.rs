//! Accounts, from the machine that the server's database is reached from. Whoever can do this owns the database anyway.

use super::beside_the_server;
use crate::{
    cli::{AdminCommand, PasswordArgs},
    failure::Result,
    output, password,
};
use asgard_lib::{
    app::{Asgard, bootstrap},
    kernel::{SecretText, Username},
};
use std::path::PathBuf;

pub fn run(config: Option<PathBuf>, command: AdminCommand) -> Result<()> {
    match command {
        AdminCommand::CreateUser { username, email, role, password } => {
            let chosen = password::ask(&password)?;
            beside_the_server(config, async |runtime| {
                let app = runtime.app();
                let (password, generated) = or_generated(app, chosen);
                bootstrap::create_user(app, &username, &email, role.into(), &password, None).await?;
                output::line(format!("Made the account {username}."))?;
                tell(&username, &password, generated)
            })
        }
        AdminCommand::ResetPassword { username, password } => reset(config, username, &password),
        AdminCommand::SignOut { username } => beside_the_server(config, async |runtime| {
            bootstrap::sign_out(runtime.app(), &username).await?;
            output::line(format!("Ended every session and user token of {username}."))
        }),
    }
}

fn reset(config: Option<PathBuf>, username: Username, password: &PasswordArgs) -> Result<()> {
    let chosen = password::ask(password)?;
    beside_the_server(config, async |runtime| {
        let app = runtime.app();
        let (password, generated) = or_generated(app, chosen);
        bootstrap::set_password(app, &username, &password).await?;
        output::line(format!(
            "Set the password of {username}; whoever was signed in as {username} is not any more, and the account's user tokens have ended."
        ))?;
        tell(&username, &password, generated)
    })
}

fn or_generated(app: &Asgard, chosen: Option<SecretText>) -> (SecretText, bool) {
    match chosen {
        Some(password) => (password, false),
        None => (bootstrap::generated_password(app), true),
    }
}

/// Prints a generated password, once.
fn tell(username: &Username, password: &SecretText, generated: bool) -> Result<()> {
    if !generated {
        return Ok(());
    }
    output::line(format!("username: {username} password: {}", password.reveal()))
}
