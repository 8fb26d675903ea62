//! Logs of many small segments: a run that says a little every moment leaves thousands of them.

use super::fence::{apply_waits, line};
use crate::{
    app::{
        resources::{LogView, RunLog},
        runs::count_segments,
        testkit::Kit,
    },
    domain::run::{LogLine, LogSegment},
    kernel::RunId,
    ports::runner::RunOutcome,
};
use serde_json::{Value, json};
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

/// The most round trips to the store that one page of a log makes.
const READS: i64 = 30;

/// A run that is over and has so many segments of two lines, and the messages of all of them.
async fn logged(kit: &Kit, segments: u32) -> (RunId, Vec<String>) {
    let (_, run) = apply_waits(kit, "thing").await;
    let (_, claimed_run) = kit.claim(&run).await;
    let begun = kit.world.now();
    let said = |n: u32| LogLine {
        at: begun.plus(Duration::from_millis(u64::from(n) * 100)),
        message: n.to_string(),
        ..line("log", "a.b")
    };
    for number in 0..segments {
        let segment = LogSegment {
            run: run.clone(),
            position: LogSegment::position(number),
            lines: vec![said(number * 2), said(number * 2 + 1)],
            at: begun,
            keep_until: begun.plus(Duration::from_secs(86_400)),
        };
        kit.plant(&segment).await;
    }
    claimed_run.finish(RunOutcome::Applied { outputs: Default::default() }).await.unwrap();
    (run, (0..segments * 2).map(|n| n.to_string()).collect())
}

/// One page, which costs no more than a page may.
async fn page(kit: &Kit, run: &RunId, mut input: Value) -> LogView {
    input["run_id"] = json!(run);
    let log: RunLog = serde_json::from_value(input.clone()).unwrap();
    let before = kit.faulty.fault.calls.load(SeqCst);
    let view = kit.app.run(&kit.owner(), &log).await.unwrap();
    let reads = kit.faulty.fault.calls.load(SeqCst) - before;
    assert!(reads <= READS, "{input} cost {reads} reads");
    view
}

fn texts(view: &LogView) -> impl Iterator<Item = String> {
    view.lines.iter().map(|line| line.message.clone())
}

#[tokio::test(start_paused = true)]
async fn a_log_of_many_segments_is_read_to_its_end_in_pages_that_cost_little() {
    for (segments, limits) in
        [(1, [1, 500]), (511, [500, 2000]), (512, [500, 2000]), (600, [500, 2000]), (5000, [1500, 2000])]
    {
        let kit = Kit::staged().await;
        let (run, expected) = logged(&kit, segments).await;
        for limit in limits {
            let (mut all, mut after, mut pages) = (Vec::new(), None, 0);
            loop {
                let view = page(&kit, &run, json!({"after": after, "limit": limit})).await;
                all.extend(texts(&view));
                (after, pages) = (Some(view.next), pages + 1);
                assert!(pages < 60, "{segments} segments by {limit}: {pages} pages and no end");
                if view.complete {
                    break;
                }
            }
            assert_eq!(all, expected, "{segments} segments by {limit}");
            let more = page(&kit, &run, json!({"after": after})).await;
            assert!(more.lines.is_empty() && more.complete, "{segments} segments by {limit}: it ends once");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_lines_of_a_log_of_many_segments_are_its_last() {
    for segments in [0, 1, 63, 64, 600, 5000] {
        let kit = Kit::staged().await;
        let (run, expected) = logged(&kit, segments).await;
        assert_eq!(count_segments(&kit.app, &run).await.unwrap(), segments);
        for tail in [1, 500, 2000] {
            let view = page(&kit, &run, json!({"tail": tail})).await;
            let from = expected.len().saturating_sub(tail);
            assert_eq!(texts(&view).collect::<Vec<_>>(), expected[from..], "the last {tail} of {segments} segments");
            assert!(view.complete);
            let more = page(&kit, &run, json!({"after": view.next})).await;
            assert!(more.lines.is_empty() && more.complete, "{segments} segments: nothing comes after the last");
        }
    }
}
