//! A batch as one transaction, and what its answer means.

use super::{
    DynamoStore,
    failure::{Tries, Verdict, failure, judge},
    layout::{self, Item},
};
use crate::{
    aws::Unlogged,
    kernel::CommitId,
    ports::store::{Batch, Count, Draft, Key, MARKERS_KEPT, Op, Outcome, Reason, Refusal, StoreError},
};
use aws_sdk_dynamodb::{
    config::{Config, retry::RetryConfig},
    error::BuildError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update,
    },
};
use std::collections::HashMap;

/// Reasons of a canceled transaction that pass.
const PASSING: [&str; 3] = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];

/// What a canceled transaction says.
#[derive(Debug, PartialEq, Eq)]
enum Canceled {
    /// The answer of the port.
    Answer(Outcome),
    /// An earlier submission has committed, but perhaps not everything that it wrote can be read yet.
    Settling,
    /// Somebody else was in the way, or the table was too busy.
    Again,
    /// The marker was in another transaction, which may be this very batch, sent before.
    InDoubt,
    /// Something is wrong with the request.
    Wrong(String),
}

/// Commits a batch. What other transactions or throttling were in the way of is tried again for a second or two. The SDK
/// itself tries nothing again: of several attempts it shows the last one's failure, and an earlier one may have committed.
pub(super) async fn commit(store: &DynamoStore, batch: &Batch) -> Result<Outcome, StoreError> {
    let items = items(store.name(), batch)?;
    let (mut tries, mut in_doubt) = (Tries::default(), false);
    loop {
        let call = store.client.transact_write_items().set_transact_items(Some(items.clone())).customize();
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let error = match call.config_override(once).send().unlogged().await {
            Ok(_) => return Ok(Outcome::Committed),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
                let canceled = read(batch, canceled.cancellation_reasons());
                in_doubt |= canceled == Canceled::InDoubt;
                match canceled {
                    // An earlier copy of it is still at work, and may commit.
                    Canceled::Answer(Outcome::Refused(_)) if in_doubt => {
                        return Err(StoreError::Unknown("an earlier submission is still at work".into()));
                    }
                    Canceled::Answer(outcome) => return Ok(outcome),
                    Canceled::Settling | Canceled::Again | Canceled::InDoubt if tries.another().await => {}
                    Canceled::Settling => return Ok(Outcome::Committed),
                    Canceled::Again | Canceled::InDoubt if in_doubt => {
                        return Err(StoreError::Unknown("an earlier submission may have committed".into()));
                    }
                    Canceled::Again | Canceled::InDoubt => {
                        return Err(StoreError::Unavailable("others were in the way for too long".into()));
                    }
                    Canceled::Wrong(why) => {
                        return Err(StoreError::Corrupt(format!("DynamoDB canceled a batch: {why}")));
                    }
                }
            }
            Some(other)
                if judge(other.meta().code().unwrap_or_default()) == Verdict::Again && tries.another().await => {}
            Some(_) | None => {
                return Err(match failure(error) {
                    StoreError::Unavailable(cause) if in_doubt => StoreError::Unknown(cause),
                    failed => failed,
                });
            }
        }
    }
}

/// The transaction of a batch: the commit's marker, then its steps in their order.
fn items(table: &str, batch: &Batch) -> Result<Vec<TransactWriteItem>, StoreError> {
    let wrong = |error: BuildError| StoreError::Corrupt(error.to_string());
    let mut marker = layout::key_of(layout::marker_pk(batch.id()));
    marker.extend(present(layout::expiry(Some(batch.at().plus(MARKERS_KEPT)))));
    let mut items = vec![put(table, marker).map_err(wrong)?];
    for op in batch.ops() {
        let step = Step { table, id: batch.id() };
        items.push(match op {
            Op::Insert(draft) => {
                let mut item = layout::key_of(layout::record_pk(&draft.key));
                item.extend(present(layout::attributes(draft, batch.id())?));
                put(table, item).map_err(wrong)?
            }
            Op::Replace(draft, seen) => step.replace(draft, seen)?,
            Op::Remove(key, seen) => step.delete(layout::record_pk(key), "v = :seen", seen.as_str()).map_err(wrong)?,
            Op::Require(key, seen) => step.require(key, seen.as_ref()).map_err(wrong)?,
            Op::Claim { name, owner } => {
                let mut item = layout::key_of(layout::claim_pk(name));
                item.insert("o".to_owned(), layout::text(owner));
                put(table, item).map_err(wrong)?
            }
            Op::Release { name, owner } => step.delete(layout::claim_pk(name), "o = :seen", owner).map_err(wrong)?,
            Op::Count(count) => step.count(count).map_err(wrong)?,
        });
    }
    Ok(items)
}

/// The attributes that an item has.
fn present(
    all: impl IntoIterator<Item = (&'static str, Option<AttributeValue>)>,
) -> impl Iterator<Item = (String, AttributeValue)> {
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))
}

/// Writes an item that must not exist.
fn put(table: &str, item: Item) -> Result<TransactWriteItem, BuildError> {
    let put = Put::builder().table_name(table).set_item(Some(item)).condition_expression("attribute_not_exists(pk)");
    Ok(TransactWriteItem::builder().put(put.build()?).build())
}

/// Writes attributes by name, and removes those that have no value. Names are given as placeholders: some are reserved.
fn assignments(
    all: impl IntoIterator<Item = (&'static str, Option<AttributeValue>)>,
    values: &mut Item,
    names: &mut HashMap<String, String>,
) -> String {
    let (mut set, mut remove) = (Vec::new(), Vec::new());
    for (name, value) in all {
        names.insert(format!("#{name}"), name.to_owned());
        match value {
            Some(value) => {
                values.insert(format!(":{name}"), value);
                set.push(format!("#{name} = :{name}"));
            }
            None => remove.push(format!("#{name}")),
        }
    }
    let clause = |word: &str, parts: &[String]| {
        if parts.is_empty() { String::new() } else { format!("{word} {} ", parts.join(", ")) }
    };
    format!("{}{}", clause("SET", &set), clause("REMOVE", &remove))
}

struct Step<'a> {
    table: &'a str,
    id: &'a CommitId,
}

impl Step<'_> {
    /// An update and not a put: it leaves the note alone.
    fn replace(&self, draft: &Draft, seen: &CommitId) -> Result<TransactWriteItem, StoreError> {
        let (mut values, mut names) = (Item::new(), HashMap::new());
        let change = assignments(layout::attributes(draft, self.id)?, &mut values, &mut names);
        values.insert(":seen".to_owned(), layout::text(seen.as_str()));
        let update = Update::builder()
            .table_name(self.table)
            .set_key(Some(layout::key_of(layout::record_pk(&draft.key))))
            .update_expression(change)
            .condition_expression("#v = :seen")
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .build()
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    fn delete(&self, pk: String, condition: &str, seen: &str) -> Result<TransactWriteItem, BuildError> {
        let delete = Delete::builder()
            .table_name(self.table)
            .set_key(Some(layout::key_of(pk)))
            .condition_expression(condition)
            .expression_attribute_values(":seen", layout::text(seen));
        Ok(TransactWriteItem::builder().delete(delete.build()?).build())
    }

    fn require(&self, key: &Key, seen: Option<&CommitId>) -> Result<TransactWriteItem, BuildError> {
        let check =
            ConditionCheck::builder().table_name(self.table).set_key(Some(layout::key_of(layout::record_pk(key))));
        let check = match seen {
            Some(seen) => check
                .condition_expression("v = :seen")
                .expression_attribute_values(":seen", layout::text(seen.as_str())),
            None => check.condition_expression("attribute_not_exists(pk)"),
        };
        Ok(TransactWriteItem::builder().condition_check(check.build()?).build())
    }

    /// The bounds of the result become bounds of what the counter shows before, because a condition cannot calculate.
    fn count(&self, count: &Count) -> Result<TransactWriteItem, BuildError> {
        let (least, most) = room(count);
        let (mut values, mut names) = (Item::new(), HashMap::new());
        let expiry = assignments(layout::expiry(count.expires_at), &mut values, &mut names);
        let change = match expiry.strip_prefix("SET ") {
            Some(rest) => format!("SET n = if_not_exists(n, :zero) + :delta, {rest}"),
            None => format!("SET n = if_not_exists(n, :zero) + :delta {expiry}"),
        };
        let within = "n >= :least AND n <= :most";
        let from_nothing = count.step(0).is_ok();
        let condition = if from_nothing { format!("attribute_not_exists(n) OR ({within})") } else { within.to_owned() };
        for (name, value) in [(":zero", 0), (":delta", count.delta), (":least", least), (":most", most)] {
            values.insert(name.to_owned(), layout::number(value));
        }
        let update = Update::builder()
            .table_name(self.table)
            .set_key(Some(layout::key_of(layout::counter_pk(&count.counter))))
            .update_expression(change)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(TransactWriteItem::builder().update(update.build()?).build())
    }
}

/// The least and the most that a counter may show before a step that keeps its bounds.
fn room(count: &Count) -> (i64, i64) {
    let floor = i128::from(count.floor.unwrap_or(i64::MIN)) - i128::from(count.delta);
    let ceiling = i128::from(count.ceiling.unwrap_or(i64::MAX)) - i128::from(count.delta);
    // A bound outside of what a counter can show is none, or nothing passes it.
    let fit = |bound: i128| i64::try_from(bound).unwrap_or(if bound < 0 { i64::MIN } else { i64::MAX });
    match (i64::try_from(floor), i64::try_from(ceiling)) {
        (Err(_), _) if floor > 0 => (i64::MAX, i64::MIN),
        (_, Err(_)) if ceiling < 0 => (i64::MAX, i64::MIN),
        _ => (fit(floor), fit(ceiling)),
    }
}

/// Reads why a transaction was canceled: a reason for the marker, and one for every step.
fn read(batch: &Batch, reasons: &[CancellationReason]) -> Canceled {
    let code = |reason: &CancellationReason| reason.code().unwrap_or("None").to_owned();
    let Some((marker, steps)) = reasons.split_first() else {
        return Canceled::Wrong("it gave no reasons".to_owned());
    };
    match code(marker).as_str() {
        "None" => {}
        "ConditionalCheckFailed" if steps.iter().any(|step| step.code() == Some("TransactionConflict")) => {
            return Canceled::Settling;
        }
        "ConditionalCheckFailed" => return Canceled::Answer(Outcome::Committed),
        // Whether the marker is there was not seen: what stands in the way may be the batch itself, committed before.
        "TransactionConflict" => return Canceled::InDoubt,
        code if PASSING.contains(&code) => return Canceled::Again,
        other => return Canceled::Wrong(format!("the marker: {other}")),
    }
    let mut again = false;
    let mut wrong = None;
    for ((step, op), reason) in batch.ops().iter().enumerate().zip(steps) {
        match code(reason).as_str() {
            "None" => {}
            "ConditionalCheckFailed" => match refusal(op, reason.item()) {
                Some(reason) => return Canceled::Answer(Outcome::Refused(Refusal { step, reason })),
                None => again = true,
            },
            code if PASSING.contains(&code) => again = true,
            other => {
                let said = reason.message().unwrap_or("nothing more");
                wrong.get_or_insert_with(|| format!("step {step}: {other}: {said}"));
            }
        }
    }
    match wrong {
        Some(why) => Canceled::Wrong(why),
        None if again => Canceled::Again,
        None => Canceled::Wrong("no reason says why".to_owned()),
    }
}

/// Why a step whose condition did not hold stood in the way. `None` when that cannot have been: it has changed since.
fn refusal(op: &Op, item: Option<&Item>) -> Option<Reason> {
    Some(match op {
        Op::Insert(_) | Op::Require(_, None) => Reason::Exists,
        Op::Replace(..) | Op::Remove(..) | Op::Require(_, Some(_)) => Reason::Changed,
        Op::Claim { .. } => Reason::Taken,
        Op::Release { .. } => Reason::NotHeld,
        Op::Count(count) => {
            let shown = item.and_then(|item| layout::integer(item, "n")).unwrap_or(0);
            return count.step(shown).err();
        }
    })
}

#[cfg(test)]
mod tests;
