//! What an operation is. [`drive`](super::drive::drive) is the one way to run it.

use super::reads::Reads;
use crate::app::{Asgard, Tx};
use crate::{
    domain::access::Action,
    error::{Error, Result},
    kernel::SecretText,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::any::TypeId;

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates or acts.
    Post,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// The method's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A REST route of an operation, below `/api`. Names in braces fill fields of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: &'static str,
    /// The status of a success.
    pub status: u16,
}

/// What clients may expect of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hints {
    /// Changes nothing.
    pub read_only: bool,
    /// May take something away.
    pub destructive: bool,
    /// Doing it twice is like doing it once.
    pub idempotent: bool,
}

impl Hints {
    /// Changes nothing.
    pub const READ: Self = Self { read_only: true, destructive: false, idempotent: true };
    /// Adds something each time.
    pub const CREATE: Self = Self { read_only: false, destructive: false, idempotent: false };
    /// Sets something.
    pub const SET: Self = Self { read_only: false, destructive: false, idempotent: true };
    /// Takes something away.
    pub const REMOVE: Self = Self { read_only: false, destructive: true, idempotent: true };
}

/// An operation's entry in the table: everything that surfaces need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// Its name: area and verb.
    pub name: &'static str,
    /// A short title.
    pub title: &'static str,
    /// What it does, when to use it, and what comes back.
    pub description: &'static str,
    /// What it needs permission for.
    pub action: Action,
    /// Its REST routes.
    pub routes: &'static [Route],
    /// Its names as an MCP tool; the first is preferred.
    pub tools: &'static [&'static str],
    /// What clients may expect.
    pub hints: Hints,
    /// Whether an idempotency key makes it happen once.
    pub creates: bool,
}

/// One thing that callers can have done. The command is the type itself. [`Asgard::run`] runs its steps in this order:
///
/// 1. `authorise` reads, asks, and says what it found. Nothing else of the operation happens before.
/// 2. A call under an idempotency key that has been answered goes on with `finish`.
/// 3. `prepare` does what takes time or touches the world beside the records.
/// 4. `decide` says what to commit. `authorise` comes first again, in the same transaction, and after a lost race both are
///    repeated. It has no effects: the ports that have some refuse it.
/// 5. The batch is committed. If what `prepare` read has changed by then, it runs again, three times at most.
/// 6. `finish` makes the answer, also for a replayed call.
///
/// Most operations only decide, in one transaction: they implement [`SimpleOperation`] and are operations by that.
pub trait Operation: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// What comes back.
    type Output: Serialize + JsonSchema + Send + 'static;
    /// What `authorise` found: the project, for instance, that the call is about.
    type Permit: Send + Sync + 'static;
    /// What `prepare` made; `()` for operations that need none.
    type Prepared: Send + Sync + 'static;
    /// What was decided, and what is remembered of it under an idempotency key.
    type Decided: Decided;
    /// Its entry in the table.
    const META: Meta;

    /// Fails unless the caller may do this. Asks for the action of [`Self::META`], and only reads. One that does not ask fails
    /// the call as a bug, before anything is replayed or prepared.
    fn authorise(&self, reads: &mut Reads<'_>) -> impl Future<Output = Result<Self::Permit>> + Send;

    /// Waits, hashes, calls out. It does no more than was permitted, writes only under fresh ids that somebody removes if they
    /// are never committed, and may be done twice. What it reads with [`Reads::read_checked`] has to be unchanged at the
    /// commit. `before` is what an earlier run made whose reads have changed.
    fn prepare(
        &self,
        reads: &mut Reads<'_>,
        permit: &Self::Permit,
        before: Option<Self::Prepared>,
    ) -> impl Future<Output = Result<Self::Prepared>> + Send;

    /// Whether preparing did nothing, took no time, and what was read before it still stands: then the decision goes on with that.
    fn prepared_nothing(_prepared: &Self::Prepared) -> bool {
        TypeId::of::<Self::Prepared>() == TypeId::of::<()>()
    }

    /// Decides, and says what to commit.
    fn decide(
        &self,
        tx: &mut Tx<'_>,
        permit: Self::Permit,
        prepared: &Self::Prepared,
    ) -> impl Future<Output = Result<Self::Decided>> + Send;

    /// What the caller sees, once it is committed. Never remembered.
    fn finish(&self, app: &Asgard, decided: Self::Decided) -> impl Future<Output = Result<Self::Output>> + Send;

    /// The command as an idempotency key stands for it when the call is a typed one: the same key with another command is
    /// refused. What creates something says it, with [`remembered_by_its_fields!`](crate::remembered_by_its_fields).
    fn keyed(&self) -> Result<Value> {
        Err(Error::bug(format!("{} does not say what its idempotency keys stand for", Self::META.name)))
    }
}

/// An operation that is one decision: it prepares nothing, and nothing is remembered of it under an idempotency key.
pub trait SimpleOperation: DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// What comes back.
    type Output: Serialize + JsonSchema + Send + 'static;
    /// Its entry in the table. It says `creates: false`: what creates is remembered, and implements [`Operation`] itself.
    const META: Meta;

    /// Loads, authorises, decides, and says what to commit. Called again after a lost race.
    fn decide(&self, tx: &mut Tx<'_>) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// The permit of a [`SimpleOperation`], whose `decide` asks. Nobody else can make one: every other operation asks in `authorise`.
#[derive(Clone, Copy, Debug)]
pub struct AsksInDecide(());

impl<T: SimpleOperation> Operation for T {
    type Output = T::Output;
    type Permit = AsksInDecide;
    type Prepared = ();
    type Decided = Unremembered<T::Output>;
    const META: Meta = {
        assert!(
            !T::META.creates,
            "an operation that creates implements `Operation`, so that a replay authorises first"
        );
        T::META
    };

    async fn authorise(&self, _: &mut Reads<'_>) -> Result<AsksInDecide> {
        Ok(AsksInDecide(()))
    }

    async fn prepare(&self, _: &mut Reads<'_>, _: &AsksInDecide, _: Option<()>) -> Result<()> {
        Ok(())
    }

    async fn decide(&self, tx: &mut Tx<'_>, _: AsksInDecide, (): &()) -> Result<Self::Decided> {
        SimpleOperation::decide(self, tx).await.map(Unremembered)
    }

    async fn finish(&self, _: &Asgard, decided: Self::Decided) -> Result<T::Output> {
        Ok(decided.0)
    }
}

/// For an implementation of [`Operation`] that prepares nothing.
#[macro_export]
macro_rules! prepares_nothing {
    () => {
        type Prepared = ();

        async fn prepare(&self, _: &mut $crate::app::Reads<'_>, _: &Self::Permit, _: Option<()>) -> $crate::Result<()> {
            Ok(())
        }
    };
}

/// For an implementation of [`Operation`] whose answer is what was decided.
#[macro_export]
macro_rules! answers_as_decided {
    () => {
        type Decided = Self::Output;

        async fn finish(&self, _: &$crate::app::Asgard, decided: Self::Output) -> $crate::Result<Self::Output> {
            Ok(decided)
        }
    };
}

/// For an implementation of [`Operation`] that creates something and whose command serialises whole.
#[macro_export]
macro_rules! remembered_by_its_fields {
    () => {
        fn keyed(&self) -> $crate::Result<::serde_json::Value> {
            ::serde_json::to_value(self).map_err($crate::Error::bug)
        }
    };
}

/// What was decided and a new credential, which is shown once: it is not remembered, so that a replay goes without it.
#[derive(Serialize, Deserialize)]
pub struct ShownOnce<T> {
    /// The credential; `None` in a replay.
    #[serde(skip)]
    pub credential: Option<SecretText>,
    /// What is remembered.
    #[serde(flatten)]
    pub about: T,
}

impl<T> std::fmt::Debug for ShownOnce<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShownOnce")
    }
}

/// What was decided, as a reply is remembered and recalled. Every type that serialises both ways is one; a field that must
/// not be remembered, a new key for instance, is `#[serde(skip)]`.
pub trait Decided: Sized + Send + 'static {
    /// What is kept.
    fn remember(&self) -> Result<Value>;
    /// What was kept.
    fn recall(kept: Value) -> Result<Self>;
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Decided for T {
    fn remember(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(Error::bug)
    }

    fn recall(kept: Value) -> Result<Self> {
        serde_json::from_value(kept).map_err(|error| Error::bug(format!("a remembered reply cannot be read: {error}")))
    }
}

/// What an operation decided that creates nothing: nobody remembers it.
#[derive(Debug)]
pub struct Unremembered<T>(pub T);

impl<T: Send + 'static> Decided for Unremembered<T> {
    fn remember(&self) -> Result<Value> {
        Err(Error::bug("an operation that creates nothing was to be remembered"))
    }

    fn recall(_: Value) -> Result<Self> {
        Err(Error::bug("an operation that creates nothing was to be replayed"))
    }
}
