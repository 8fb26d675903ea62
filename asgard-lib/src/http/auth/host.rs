//! People whom the embedding service signed in.

use super::{Caller, Via, check_origin};
use crate::{
    app::people::{Vouched, vouched_for},
    error::{Code, Error, Result},
    http::HttpState,
    kernel::{Email, Issuer, IssuerSubject, Role},
};
use http::{header, request::Parts};

/// A person whom the embedding service has signed in, as an extension of a request.
///
/// A service that mounts [`router()`](crate::http::router()) beside routes of its own has its own way of knowing who visits: a
/// session cookie, a proxy's assertion. Its middleware verifies that and then says so:
///
/// ```
/// # use asgard_lib::{http::HostUser, kernel::Role};
/// # fn verified(request: &mut http::Request<()>) -> Result<(), Box<dyn std::error::Error>> {
/// request.extensions_mut().insert(HostUser::new("ann@corp.example".parse()?, Role::Member));
/// # Ok(())
/// # }
/// ```
///
/// The rules:
///
/// - Only code can say it. An extension is a typed value inside the process; nothing that a client sends, header, cookie or
///   body, becomes one. What the middleware believes before it says so is the middleware's responsibility: a header that a
///   proxy sets is worth believing only from that proxy's address, and only if the proxy removes the client's own. The
///   address has to be one that the host has verified: whoever has it is that person.
/// - A person is known by issuer and subject, where the host gives them ([`HostUser::known_as`]): another address for the
///   same person is then a change of their address, which moves no authority. Without them the address itself is the
///   subject, and another address is another person.
/// - A new identity joins the account that has its address if its issuer is trusted with it (`people.trusted_issuers`; every
///   issuer, unless that is set). That of an admin's account joins once an admin or the account itself has confirmed it, unless
///   the host names no issuer.
/// - It counts for REST and the dashboard. `/mcp` takes keys and tokens in `Authorization` and nothing else.
/// - The host decides the role, on every request; Asgard keeps the account, so that lists, audit and tokens know the person.
///   An account that an admin switched off in Asgard stays off. The host cannot take the role from the last admin.
/// - It is taken for as good as a cookie and as exposed: an unsafe request must come from our own pages
///   ([`check_origin`](super::check_origin)), unless the host says that no browser sends its credential by itself
///   ([`HostUser::proved_by`]).
/// - One credential a request: with an `Authorization` header as well the request is refused, so a middleware that read its
///   own bearer removes the header. An Asgard session cookie is not looked at.
/// - Somebody who left the host makes no requests, but their user tokens go on until they expire: end them
///   (`POST /api/users/{user_id}/sign-out`), or switch the account off (`POST /api/users/{user_id}/active`).
#[derive(Clone, Debug)]
pub struct HostUser {
    credential: HostCredential,
    vouched: Vouched,
}

/// What the host knows its visitor by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostCredential {
    /// A cookie, or anything else that browsers send by themselves, whichever page makes the request: a password of HTTP's
    /// own, for instance.
    Cookie,
    /// What another site's page cannot have sent: a header that the client's program sets, a proxy's assertion for it, a client
    /// certificate that no browser has. A proxy's assertion that stands for a cookie is a cookie.
    Other,
}

impl HostUser {
    /// The person at `email`, who may do what `role` may.
    pub fn new(email: Email, role: Role) -> Self {
        Self { credential: HostCredential::Cookie, vouched: Vouched::new(email, role) }
    }

    /// The same, known by something else than a cookie: then requests need no `Origin`.
    ///
    /// ```
    /// # use asgard_lib::{http::{HostCredential, HostUser}, kernel::Role};
    /// # fn verified(request: &mut http::Request<()>) -> Result<(), Box<dyn std::error::Error>> {
    /// let robot = HostUser::new("robot@corp.example".parse()?, Role::Member).proved_by(HostCredential::Other);
    /// request.extensions_mut().insert(robot);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn proved_by(self, credential: HostCredential) -> Self {
        Self { credential, ..self }
    }

    /// The same person as the host really knows them: `issuer` is the host's identity provider or the host itself, `subject`
    /// what it knows them by and gives to nobody else. The issuer `local` is Asgard's own and is refused.
    #[must_use]
    pub fn known_as(self, issuer: Issuer, subject: IssuerSubject) -> Self {
        Self { vouched: self.vouched.known_as(issuer, subject), ..self }
    }

    /// Whom the host says the request is from.
    pub(super) fn of(parts: &Parts) -> Option<&Self> {
        parts.extensions.get()
    }

    pub(super) async fn identify(&self, state: &HttpState, parts: &Parts) -> Result<Caller> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return Err(Error::new(
                Code::InvalidInput,
                "The request carries two different credentials: the sign-in of the service around Asgard and an Authorization header. Send one.",
            )
            .at("authorization"));
        }
        match self.credential {
            HostCredential::Cookie if !parts.method.is_safe() => check_origin(state, parts)?,
            HostCredential::Cookie | HostCredential::Other => {}
        }
        Ok(Caller { actor: vouched_for(state.app(), &self.vouched).await?, via: Via::Host })
    }
}
