//! The company's sign-in: a cookie that its sign-in service signs and every other service verifies.
//!
//! `<claims>.<mac>`, both in base64url: the claims are JSON, the mac is HMAC-SHA-256 over them under a key that only the
//! company's services know. There is one algorithm and nothing in the cookie chooses it. Nothing ends such a session before
//! its time but the browser forgetting it, so it is short.

use asgard_lib::kernel::{Email, Timestamp};
use axum::http::{HeaderMap, header};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::{fmt, time::Duration};
use zeroize::Zeroizing;

/// The cookie's name. The sign-in service sets it for this host only, `HttpOnly`, `SameSite=Lax` and, over TLS, `Secure`.
pub const COOKIE: &str = "corp_session";

/// The longest cookie that is looked at.
const MAX: usize = 4096;

/// What the mac is for, so that nothing else that the key may sign one day passes for a session.
const PURPOSE: &[u8] = b"corp-session-v1:";

/// Who is signed in to the company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitor {
    /// Their address, which the sign-in service has verified.
    pub email: Email,
    /// The groups they are in.
    pub groups: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    visitor: Visitor,
    expires_at: Timestamp,
}

/// The key that sessions are signed with. No `Debug` of its bytes.
pub struct Sessions(Zeroizing<[u8; 32]>);

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions(secret)")
    }
}

impl Sessions {
    /// Under this key, which all of the company's services share.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Under the key that 64 hex digits stand for.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok()?);
        bytes.as_slice().try_into().ok().map(Self::new)
    }

    /// Another key that follows from this one, for a purpose of its own.
    pub fn derived(&self, purpose: &[u8]) -> [u8; 32] {
        self.keyed().chain_update(b"corp-derived-v1:").chain_update(purpose).finalize().into_bytes().into()
    }

    fn keyed(&self) -> Hmac<Sha256> {
        // HMAC fills a key up to SHA-256's block with zeros; given whole blocks it cannot fail.
        let mut block = Zeroizing::new([0; 64]);
        for (slot, byte) in block.iter_mut().zip(self.0.iter()) {
            *slot = *byte;
        }
        Hmac::<Sha256>::new((&*block).into())
    }

    fn mac(&self, claims: &str) -> Hmac<Sha256> {
        self.keyed().chain_update(PURPOSE).chain_update(claims.as_bytes())
    }

    /// A session's token: what the sign-in service does once somebody has proved who they are.
    pub fn sign(&self, visitor: Visitor, now: Timestamp, lasts: Duration) -> serde_json::Result<String> {
        let claims = serde_json::to_vec(&Claims { visitor, expires_at: now.plus(lasts) })?;
        let claims = BASE64URL_NOPAD.encode(&claims);
        let mac = BASE64URL_NOPAD.encode(&self.mac(&claims).finalize().into_bytes());
        Ok(format!("{claims}.{mac}"))
    }

    /// Who presents this token, if it is genuine and not over. The mac is compared in constant time and before anything in
    /// the token is believed.
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<Visitor> {
        let (claims, mac) = token.split_once('.').filter(|_| token.len() <= MAX)?;
        let mac = BASE64URL_NOPAD.decode(mac.as_bytes()).ok()?;
        self.mac(claims).verify_slice(&mac).ok()?;
        let claims: Claims = serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?).ok()?;
        (now < claims.expires_at).then_some(claims.visitor)
    }

    /// Whose request it is by its cookie. Two different cookies are nobody's: one of them was planted.
    pub fn visitor(&self, headers: &HeaderMap, now: Timestamp) -> Option<Visitor> {
        let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut tokens = pairs.filter(|(name, _)| *name == COOKIE).map(|(_, token)| token);
        let token = tokens.next()?;
        if tokens.any(|other| other != token) {
            return None;
        }
        self.verify(token, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> Visitor {
        Visitor { email: "ann@corp.example".parse().unwrap(), groups: vec!["asgard-admins".into()] }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn a_session_is_good_until_it_is_over() {
        let sessions = Sessions::new([1; 32]);
        let token = sessions.sign(ann(), at(0), Duration::from_secs(60)).unwrap();
        assert_eq!(sessions.verify(&token, at(59)), Some(ann()));
        assert_eq!(sessions.verify(&token, at(60)), None);
    }

    #[test]
    fn only_the_key_makes_one() {
        let sessions = Sessions::new([1; 32]);
        let token = sessions.sign(ann(), at(0), Duration::from_secs(60)).unwrap();
        let (claims, mac) = token.split_once('.').unwrap();
        let other = BASE64URL_NOPAD
            .encode(br#"{"visitor":{"email":"bob@corp.example","groups":[]},"expires_at":"2999-01-01T00:00:00Z"}"#);
        for forged in [
            Sessions::new([2; 32]).sign(ann(), at(0), Duration::from_secs(60)).unwrap(),
            format!("{other}.{mac}"),
            format!("{claims}."),
            format!("{claims}.{}", mac.split_at(20).0),
            format!("{claims}.{claims}"),
            format!("{token}="),
            claims.to_owned(),
            String::new(),
            format!("{}.{mac}", "a".repeat(MAX)),
        ] {
            assert_eq!(sessions.verify(&forged, at(1)), None, "{forged}");
        }
        // A mac of the same key that was made for something else.
        let bare =
            Hmac::<Sha256>::new_from_slice(&[1; 32]).unwrap().chain_update(claims.as_bytes()).finalize().into_bytes();
        assert_eq!(sessions.verify(&format!("{claims}.{}", BASE64URL_NOPAD.encode(&bare)), at(1)), None);
    }

    #[test]
    fn a_planted_second_cookie_signs_nobody_in() {
        let sessions = Sessions::new([1; 32]);
        let token = sessions.sign(ann(), at(0), Duration::from_secs(60)).unwrap();
        let headers = |text: String| HeaderMap::from_iter([(header::COOKIE, text.parse().unwrap())]);
        assert!(sessions.visitor(&headers(format!("a=b; {COOKIE}={token}; {COOKIE}={token}")), at(1)).is_some());
        assert!(sessions.visitor(&headers(format!("{COOKIE}={token}; {COOKIE}=other")), at(1)).is_none());
        assert!(sessions.visitor(&headers(format!("x{COOKIE}={token}")), at(1)).is_none());
    }

    #[test]
    fn keys_are_64_hex_digits() {
        assert!(Sessions::from_hex(&"aB".repeat(32)).is_some());
        for bad in ["", "00", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64)] {
            assert!(Sessions::from_hex(bad).is_none(), "{bad}");
        }
    }
}
