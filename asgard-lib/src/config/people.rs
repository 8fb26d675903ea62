//! People: the first admin, how long sign-ins last, and how guessing is slowed down.

use super::{
    section::{entry, section},
    spec::{at, env},
    value::Refusal,
};
use crate::{
    domain::person::Trust,
    kernel::{Email, EmailDomain, Issuer, SecretText, Username},
};
use std::time::Duration;

entry! {
    /// An issuer of identities, and whose addresses it is believed about.
    pub(super) struct TrustedIssuer {
        /// The issuer, exactly as identities name it: the URL of an identity provider, or the name that an embedding service gives
        /// itself in `HostUser::known_as`.
        issuer: Issuer, at("issuer");
        /// The domains whose e-mail addresses it is trusted with, such as `example.com`. Domains below one are not included.
        domains: Vec<EmailDomain>, at("domains");
    }, "a map of issuer, domains", no_short_form
}

fn no_short_form(_: &str) -> Result<TrustedIssuer, Refusal> {
    Err(Refusal::NotAllowed)
}

section! {
    /// People's settings as they are set.
    pub(super) struct RawPeople {
        /// The first admin's username.
        admin_user: Option<Username> = None, at("people.admin_user").env("ASGARD_ADMIN_USER").default_note("admin");
        /// The first admin's e-mail address.
        admin_email: Option<Email> = None, at("people.admin_email")
            .default_note("the username when it is an address, else `<username>@localhost`");
        /// The first admin's password. When it differs at a later start, that admin's password is reset and their sessions and
        /// user tokens end; on functions, when it is another one than was configured before.
        admin_password: Option<SecretText> = None, env("ASGARD_ADMIN_PASSWORD").secret()
            .default_note("generated at the first start and printed once");
        /// Turns password sign-in off for everybody. Ignored, and logged as an error, unless single sign-on is configured.
        disable_local_login: bool = false, at("people.disable_local_login").env("ASGARD_DISABLE_LOCAL_LOGIN");
        /// How long a session lasts at most.
        session_hours: u64 = 8, at("people.session_hours").unit("hours").range(1, 24 * 30);
        /// How long a session lasts without being used.
        session_idle_minutes: u64 = 60, at("people.session_idle_minutes").unit("minutes").range(1, 60 * 24 * 30);
        /// The issuers of identities that are believed when they say that an e-mail address is somebody's, each for the
        /// domains that it lists. An identity of a listed issuer joins the account that has its address; that of an admin's
        /// account waits until an admin or the account itself confirms it. A new identity of any other issuer is refused. A
        /// service that embeds Asgard and names no issuer is always believed. Identities that joined before stay.
        trusted_issuers: Option<Vec<TrustedIssuer>> = None, at("people.trusted_issuers")
            .default_note("every issuer that the embedding service names, for every domain");
        /// How long a person's token lasts when nothing else is asked for.
        token_days: u64 = 90, at("people.token_days").unit("days").range(1, 3650);
        /// How long a project's key goes on working once whoever minted it may not mint keys of the project any more. The
        /// project's owner or manager adopts the key or revokes it before that; after that it has ended for good.
        key_adoption_days: u64 = 30, at("people.key_adoption_days").unit("days").range(1, 3650);
    }
}

/// People's settings.
#[derive(Clone, Debug)]
pub struct People {
    /// The first admin's username.
    pub admin_user: Username,
    /// The first admin's e-mail address.
    pub admin_email: Email,
    /// The first admin's password; generated when it is not set.
    pub admin_password: Option<SecretText>,
    /// How long a session lasts at most, in hours.
    pub session_hours: u64,
    /// How long a session lasts without being used, in minutes.
    pub session_idle_minutes: u64,
    /// How long a person's token lasts by default, in days.
    pub token_days: u64,
    /// How long a project's key goes on working that nobody answers for, in days.
    pub key_adoption_days: u64,
    /// Whose word is taken for whose addresses.
    pub trust: Trust,
}

impl People {
    /// How long a project's key goes on working that nobody answers for.
    pub fn key_adoption(&self) -> Duration {
        Duration::from_secs(self.key_adoption_days * 86_400)
    }
}

section! {
    /// How guessing passwords is slowed down. Counts are kept in the database, so replicas share them.
    pub struct Throttle {
        /// How many failed sign-ins one account may have in a window.
        account_failures: u32 = 10, at("people.throttle.account_failures").unit("failures").range(1, 10_000);
        /// How many failed sign-ins one address may have in a window; an IPv6 network (/64) is one.
        source_failures: u32 = 30, at("people.throttle.source_failures").unit("failures").range(1, 100_000);
        /// How many failed sign-ins one connecting peer may have in a window, whatever addresses it forwards: a proxy, or whoever
        /// pretends to be one from a private network. It is coarse, because everybody behind a proxy shares it: beyond it, each account
        /// that is tried through the peer has a fifth of its failures left. IPv6 addresses count by their /64.
        peer_failures: u32 = 300, at("people.throttle.peer_failures").unit("failures").range(1, 1_000_000);
        /// How long a window is, and so how long a lock-out lasts at most.
        window_secs: u64 = 300, at("people.throttle.window_secs").unit("seconds").range(10, 86_400);
    }
}
