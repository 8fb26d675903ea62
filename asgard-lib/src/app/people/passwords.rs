//! Argon2id, off the async threads and few at a time: each hash takes 19 MiB and tens of milliseconds.

use crate::{
    app::core::effects::outside_decide,
    error::{Code, Error, Result},
    kernel::SecretText,
    ports::world::World,
};
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use std::{sync::OnceLock, time::Duration};
use tokio::sync::Semaphore;

const AT_ONCE: usize = 2;
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Hashes and checks passwords.
pub struct Passwords {
    turns: Semaphore,
    decoy: OnceLock<String>,
    /// How often a password was hashed or checked.
    #[cfg(test)]
    pub done: std::sync::atomic::AtomicU32,
}

crate::kernel::opaque!(Passwords);

impl Default for Passwords {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(AT_ONCE),
            decoy: OnceLock::new(),
            #[cfg(test)]
            done: std::sync::atomic::AtomicU32::new(0),
        }
    }
}

fn hash_now(password: &SecretText, salt: [u8; 16]) -> Result<String> {
    let hash = Argon2::default().hash_password_with_salt(password.reveal().as_bytes(), &salt);
    Ok(hash.map_err(|e| Error::bug(e.to_string()))?.to_string())
}

impl Passwords {
    async fn off_thread<T: Send + 'static>(
        &self,
        world: &World,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        outside_decide("hashing a password")?;
        #[cfg(test)]
        self.done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let busy =
            || Error::new(Code::Busy, "Too many people are signing in at once. Try again in a moment.").retry_after(5);
        let _turn = world.timeout(MAX_WAIT, self.turns.acquire()).await.map_err(|_| busy())?.map_err(Error::bug)?;
        world.compute(work).await?
    }

    /// The hash of a new password, as a PHC string.
    pub async fn hash(&self, password: &SecretText, world: &World) -> Result<String> {
        let (password, salt) = (password.clone(), world.random::<16>());
        self.off_thread(world, move || hash_now(&password, salt)).await
    }

    /// Whether a password is right. Without a hash (an unknown user) the same work is done and the answer is no.
    pub async fn verify(&self, password: &SecretText, hash: Option<&str>, world: &World) -> Result<bool> {
        let known = hash.is_some();
        let hash = match (hash, self.decoy.get()) {
            (Some(hash), _) => hash.to_owned(),
            (None, Some(decoy)) => decoy.clone(),
            (None, None) => {
                let decoy = self.hash(&SecretText::new("decoy"), world).await?;
                self.decoy.get_or_init(|| decoy).clone()
            }
        };
        let password = password.clone();
        let right = self
            .off_thread(world, move || {
                let parsed = PasswordHash::new(&hash).map_err(|e| Error::bug(e.to_string()))?;
                Ok(Argon2::default().verify_password(password.reveal().as_bytes(), &parsed).is_ok())
            })
            .await?;
        Ok(right && known)
    }
}
