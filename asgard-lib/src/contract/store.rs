//! The scenarios for [`Store`]. Each takes an empty store and panics when a rule is broken.

pub mod batches;
pub mod claims;
pub mod counters;
pub mod expiry;
pub mod queries;
pub mod races;
pub mod records;
pub mod resubmission;

use crate::ports::store::Store;
use futures_util::future::BoxFuture;

/// A scenario: its name, and what runs it.
pub type Scenario = (&'static str, for<'a> fn(&'a dyn Store) -> BoxFuture<'a, ()>);

macro_rules! scenarios {
    ($d:tt $($group:ident::$name:ident,)*) => {
        /// Every scenario.
        pub const ALL: &[Scenario] = &[$((stringify!($name), |store| Box::pin($group::$name(store))),)*];

        /// Makes a `#[tokio::test]` of every scenario for [`Store`]. Takes the name of an async function without arguments that
        /// returns a fresh store and anything to be dropped after the test.
        #[macro_export]
        macro_rules! store_contract {
            ($d make:path) => {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let (store, _kept) = $d make().await;
                    $crate::contract::store::$group::$name(&store).await;
                }
            )*};
        }
    };
}

scenarios! { $
    records::a_record_reads_back_exactly,
    records::reads_see_every_answered_commit,
    records::reads_keep_the_order_of_the_keys,
    records::ids_are_any_printable_text,
    records::bodies_may_be_large,
    records::bodies_come_back_as_they_were_written,
    records::a_look_shows_records_holders_and_counters,
    records::a_note_changes_no_version,
    records::too_much_at_once_is_refused,
    batches::insert_needs_absence,
    batches::replace_needs_the_version,
    batches::remove_needs_the_version,
    batches::require_needs_what_it_says_and_writes_nothing,
    batches::all_or_nothing_and_the_first_step_is_named,
    batches::a_version_is_the_commit_that_wrote_it,
    batches::an_empty_batch_commits,
    batches::the_largest_batch_commits,
    claims::a_name_has_one_holder,
    claims::only_the_holder_releases,
    counters::bounds_are_kept,
    counters::the_ends_of_an_i64_are_bounds_too,
    counters::increment_and_count_share_a_counter,
    counters::exactly_as_many_counts_win_as_there_is_room,
    counters::increments_are_unique,
    races::one_replace_of_many_wins,
    races::one_insert_of_many_wins,
    races::one_claim_of_many_wins,
    races::write_skew_is_refused,
    races::absence_is_held_until_the_commit,
    races::a_claim_protects_a_rule_over_a_set,
    races::batches_in_opposite_orders_do_not_block_each_other,
    resubmission::a_committed_batch_changes_nothing_twice,
    resubmission::a_committed_batch_stays_committed_whatever_came_after,
    resubmission::a_refused_batch_may_commit_later,
    resubmission::racing_submissions_of_one_batch_commit_it_once,
    resubmission::a_withdrawn_batch_never_commits_however_late_a_copy_arrives,
    resubmission::a_committed_batch_cannot_be_withdrawn,
    resubmission::a_withdrawal_and_a_late_copy_agree_on_what_happened,
    expiry::only_what_expired_vanishes,
    expiry::expiry_keeps_its_limit,
    expiry::a_counter_starts_again_after_its_expiry,
    expiry::a_commit_is_remembered_for_a_day,
    queries::pages_cover_the_index_once,
    queries::the_last_page_says_so,
    queries::bounds_cut_a_range,
    queries::the_order_is_that_of_the_bytes,
    queries::an_index_holds_only_records_with_its_fields,
    queries::a_record_moves_when_its_fields_change,
    queries::an_index_without_partition_holds_everything_by_id,
    queries::partitions_do_not_mix,
    queries::a_walk_is_steady_while_others_write,
}

/// Runs every scenario in turn, each on a store of its own.
pub async fn all<S: Store, G>(make: impl AsyncFn() -> (S, G)) {
    for (name, run) in ALL {
        tracing::info!(scenario = name, "running");
        let (store, _kept) = make().await;
        run(&store).await;
    }
}
