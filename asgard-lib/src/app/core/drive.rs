//! The one way to run an operation.

use super::{
    idempotency::Remember,
    operation::{AsksInDecide, Decided, Operation},
    reads::{Reads, Versions},
    transact::{self, Settled},
};
use crate::{
    app::{Asgard, Call, authenticate},
    error::{Code, Error, Result},
};
use std::{any::TypeId, borrow::Cow};

/// A finished operation.
#[derive(Debug)]
pub(crate) struct Done<T> {
    /// What came of it.
    pub output: T,
    /// Whether it is the answer of an earlier call under the same idempotency key.
    pub replayed: bool,
}

/// How often `prepare` runs at most.
pub(crate) const MAX_PREPARE_RUNS: u32 = 3;

/// Runs an operation through its steps, and remembers what creating calls decided in the commit of it.
pub(crate) async fn drive<O: Operation>(
    app: &Asgard,
    call: &Call,
    operation: &O,
    remember: Option<&Remember>,
) -> Result<Done<O::Output>> {
    let done = steps(app, call, operation, remember).await;
    match (done, remember) {
        // Whoever was let in is not any more: an answer of before is none of theirs either.
        (Err(over), _) if over.code() == Code::BadCredential => Err(over),
        // Another call under the same key may have been faster, and then this one's failure means nothing.
        (Err(error), Some(remember)) => {
            let mut reads = Reads::begin(app, call);
            authorise(operation, &mut reads).await?;
            replay(&reads, operation, remember).await?.ok_or(error)
        }
        (done, _) => done,
    }
}

/// Authorises, and sees that the operation asked for what its entry names before anything is replayed, prepared or decided. One
/// that asks in its decision has neither replay nor preparation, and is seen to there.
async fn authorise<O: Operation>(operation: &O, reads: &mut Reads<'_>) -> Result<O::Permit> {
    let permit = operation.authorise(reads).await?;
    if TypeId::of::<O::Permit>() != TypeId::of::<AsksInDecide>() {
        asked::<O>(reads)?;
    }
    Ok(permit)
}

fn asked<O: Operation>(reads: &Reads<'_>) -> Result<()> {
    if reads.was_granted(O::META.action) {
        return Ok(());
    }
    Err(Error::bug(format!("{} never asked for {:?}", O::META.name, O::META.action)))
}

/// The answer to a call that was answered before.
async fn replay<O: Operation>(
    reads: &Reads<'_>,
    operation: &O,
    remember: &Remember,
) -> Result<Option<Done<O::Output>>> {
    let Some(kept) = remember.recall(reads).await? else { return Ok(None) };
    let output = operation.finish(reads.app(), O::Decided::recall(kept)?).await?;
    Ok(Some(Done { output, replayed: true }))
}

async fn steps<O: Operation>(
    app: &Asgard,
    call: &Call,
    operation: &O,
    remember: Option<&Remember>,
) -> Result<Done<O::Output>> {
    let mut call = Cow::Borrowed(call);
    let mut before = None;
    for _ in 0..MAX_PREPARE_RUNS {
        let mut reads = Reads::begin(app, &call);
        if let Some(remember) = remember {
            reads.ahead(remember.reads());
        }
        let permit = authorise(operation, &mut reads).await?;
        if let Some(remember) = remember
            && let Some(done) = replay(&reads, operation, remember).await?
        {
            return Ok(done);
        }
        // The decision stands on what `prepare` reads. What `authorise` read is read again by each attempt to decide.
        let authorised = std::mem::take(&mut reads.checked);
        let prepared = operation.prepare(&mut reads, &permit, before.take()).await?;
        let seen = std::mem::take(&mut reads.checked);
        let waited = reads.has_waited();
        // Except by the first attempt when there was nothing to prepare: no time has passed.
        let early = (!waited && O::prepared_nothing(&prepared)).then(|| {
            reads.checked = authorised;
            (reads, permit)
        });
        let known_anew = match &call.actor {
            Some(actor) if waited => {
                Some(Call { actor: Some(authenticate::still(app, actor).await?), ..Call::clone(&call) })
            }
            Some(_) | None => None,
        };
        let step = DecisionStep { operation, remember, seen: &seen, prepared: &prepared };
        if let Settled::Committed(decided) = step.run(app, known_anew.as_ref().unwrap_or(&call), early).await? {
            let output = operation.finish(app, decided).await?;
            return Ok(Done { output, replayed: false });
        }
        if let Some(known_anew) = known_anew {
            call = Cow::Owned(known_anew);
        }
        before = Some(prepared);
    }
    Err(transact::moving())
}

/// The decision of an operation, and what it stands on.
struct DecisionStep<'x, O: Operation> {
    operation: &'x O,
    remember: Option<&'x Remember>,
    seen: &'x Versions,
    prepared: &'x O::Prepared,
}

impl<'x, O: Operation> DecisionStep<'x, O> {
    /// Decides until it is committed. The first attempt goes on with `early` reads and what they permit, if there are any.
    async fn run(
        &'x self,
        app: &'x Asgard,
        call: &'x Call,
        early: Option<(Reads<'x>, O::Permit)>,
    ) -> Result<Settled<O::Decided>> {
        let (reads, mut permit) = early.unzip();
        app.transact_on(call, self.seen, reads, |tx| {
            let permit = permit.take();
            Box::pin(async move {
                let permit = match permit {
                    Some(permit) => permit,
                    None => authorise(self.operation, tx.reads()).await?,
                };
                let decided = self.operation.decide(tx, permit, self.prepared).await?;
                asked::<O>(tx.reads())?;
                if let Some(remember) = self.remember {
                    remember.keep(tx, decided.remember()?).await?;
                }
                Ok(decided)
            })
        })
        .await
    }
}
