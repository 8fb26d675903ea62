//! What was just done, said on the page that a form leads to. The address carries one of these words and never a text, so
//! nobody can put words into Asgard's mouth with a link.

macro_rules! flash {
    ($($variant:ident = $slug:literal, $sentence:literal;)*) => {
        /// Something that was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Flash {
            $(#[doc = $sentence] $variant,)*
        }

        impl Flash {
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in the address.
            pub(crate) const fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug,)* }
            }

            /// The sentence on the page.
            pub(crate) const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }

            fn parse(slug: &str) -> Option<Self> {
                match slug { $($slug => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

flash! {
    SignedOut = "signed-out", "You are signed out.";
    PasswordChanged = "password-changed", "Your password is changed, and every session and token has ended. Sign in with the new one.";
    Registered = "registered", "The project is registered. Mint a key so that an agent can act for it.";
    Saved = "saved", "Saved.";
    Killed = "killed", "The project is stopped: its keys are refused and nothing new starts.";
    Unkilled = "unkilled", "The project works again.";
    Decommissioned = "decommissioned", "The project is decommissioned for good.";
    KeyAdopted = "key-adopted", "You answer for the key from now on, and cannot approve what it asks for.";
    KeyRevoked = "key-revoked", "The key is revoked and is refused from now on.";
    Requested = "requested", "The request is open. This page follows it.";
    Unchanged = "unchanged", "It is so already; nothing had to be done.";
    Approved = "approved", "Approved. Exactly the plan that was shown is being carried out.";
    Rejected = "rejected", "Rejected. Nothing of it is carried out.";
    Cancelled = "cancelled", "The request is cancelled, or stops as soon as Terraform can be stopped.";
    Refreshing = "refreshing", "A run compares what exists with what is recorded. It changes nothing.";
    UserCreated = "user-created", "The account is made. Tell its owner the first password in person; they change it under Account.";
    UserChanged = "user-changed", "The account is changed.";
    SignedOutEverywhere = "signed-out-everywhere", "Every session and token of the account is ended.";
    SessionEnded = "session-ended", "The session is ended.";
    NotSent = "not-sent", "Your session had ended, so what you sent was not taken. Sign in and send it again.";
    TokenRevoked = "token-revoked", "The token is revoked and is refused from now on.";
}

impl Flash {
    /// What a query says was done.
    pub(crate) fn of(query: Option<&str>) -> Option<Self> {
        query?.split('&').find_map(|pair| pair.strip_prefix("said=")).and_then(Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_are_said() {
        for flash in Flash::ALL {
            assert_eq!(Flash::of(Some(&format!("cursor=x&said={}", flash.slug()))), Some(*flash));
        }
        assert_eq!(Flash::of(Some("said=Your+account+is+locked")), None);
        assert_eq!(Flash::of(None), None);
    }
}
