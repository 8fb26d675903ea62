//! What emulators do not show: reasons that mix conflicts, throttling and conditions.

use super::*;
use crate::{
    kernel::Timestamp,
    ports::{kinds::Kind, store::Batch},
};

fn count(delta: i64, floor: Option<i64>, ceiling: Option<i64>) -> Count {
    Count { counter: "n".into(), delta, floor, ceiling, expires_at: None }
}

/// A batch of a claim, a required absence and a count up to 10.
fn batch() -> Batch {
    let mut batch = Batch::new(CommitId::from_digest(&[7; 32]), Timestamp::from_millis(0));
    batch.push(Op::Claim { name: "name".into(), owner: "me".into() }).unwrap();
    batch.push(Op::Require(Key::new(Kind::Request, "r"), None)).unwrap();
    batch.push(Op::Count(count(3, None, Some(10)))).unwrap();
    batch
}

/// The reasons of a canceled transaction, the marker's first.
fn says(codes: [&str; 4]) -> Canceled {
    let shown = HashMap::from([("n".to_owned(), layout::number(8))]);
    let reasons = codes.map(|code| CancellationReason::builder().code(code).set_item(Some(shown.clone())).build());
    read(&batch(), &reasons)
}

fn refused(step: usize, reason: Reason) -> Canceled {
    Canceled::Answer(Outcome::Refused(Refusal { step, reason }))
}

const OK: &str = "None";
const NO: &str = "ConditionalCheckFailed";
const RACE: &str = "TransactionConflict";

#[test]
fn the_marker_speaks_first() {
    assert_eq!(says([NO, NO, NO, NO]), Canceled::Answer(Outcome::Committed));
    // Committed, but what is still in another transaction may be what this very batch is writing.
    assert_eq!(says([NO, RACE, OK, OK]), Canceled::Settling);
    // The marker was not looked at, so that what stands in the way may be the batch itself.
    for code in ["ThrottlingError", "ProvisionedThroughputExceeded"] {
        assert_eq!(says([code, NO, NO, NO]), Canceled::Again, "{code}");
    }
    // Nobody but this batch itself, sent before, touches its marker: it may commit yet.
    assert_eq!(says([RACE, NO, NO, NO]), Canceled::InDoubt);
    assert_eq!(says([RACE, OK, OK, OK]), Canceled::InDoubt);
    assert!(matches!(says(["ValidationError", NO, NO, NO]), Canceled::Wrong(_)));
}

#[test]
fn the_first_step_that_stood_in_the_way_is_named() {
    assert_eq!(says([OK, NO, NO, NO]), refused(0, Reason::Taken));
    assert_eq!(says([OK, OK, NO, NO]), refused(1, Reason::Exists));
    assert_eq!(says([OK, OK, OK, NO]), refused(2, Reason::Ceiling));
    assert_eq!(says([OK, RACE, NO, OK]), refused(1, Reason::Exists));
}

#[test]
fn conflicts_and_throttling_pass_and_everything_else_is_a_bug() {
    for code in [RACE, "ThrottlingError", "ProvisionedThroughputExceeded"] {
        assert_eq!(says([OK, code, OK, OK]), Canceled::Again, "{code}");
    }
    for code in ["ValidationError", "ItemCollectionSizeLimitExceeded", "AccessDenied"] {
        assert!(matches!(says([OK, RACE, code, OK]), Canceled::Wrong(_)), "{code}");
    }
    assert!(matches!(says([OK, OK, OK, OK]), Canceled::Wrong(_)));
    assert!(matches!(read(&batch(), &[]), Canceled::Wrong(_)));
}

#[test]
fn the_room_of_a_count_is_what_its_step_allows() {
    let edges = [i64::MIN, i64::MIN + 1, -11, -1, 0, 1, 2, 7, 8, 10, i64::MAX - 1, i64::MAX];
    let bounds = [None, Some(i64::MIN), Some(-5), Some(0), Some(10), Some(i64::MAX)];
    for delta in edges {
        for floor in bounds {
            for ceiling in bounds {
                let count = count(delta, floor, ceiling);
                let (least, most) = room(&count);
                for shown in edges {
                    let within = least <= shown && shown <= most;
                    assert_eq!(within, count.step(shown).is_ok(), "{shown} with {count:?}");
                }
            }
        }
    }
}

#[test]
fn a_batch_is_the_marker_and_its_steps_each_with_a_condition() {
    let items = items("table", &batch()).unwrap();
    assert_eq!(items.len(), batch().ops().len() + 1);
    let conditions: Vec<bool> = items
        .iter()
        .map(|item| {
            item.put().is_some_and(|put| put.condition_expression().is_some())
                || item.update().is_some_and(|update| update.condition_expression().is_some())
                || item.condition_check().is_some()
        })
        .collect();
    assert_eq!(conditions, [true; 4]);
    assert!(items[0].put().unwrap().item().contains_key(layout::TTL), "markers go by themselves");
}
