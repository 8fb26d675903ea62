//! What unit tests of every layer share.

use std::{
    fmt::{Debug, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// Keeps everything that is said on the thread of a test, and so of all that the test's runtime does.
#[derive(Clone, Default)]
pub(crate) struct KeepsAll(Arc<Kept>);

#[derive(Default)]
struct Kept {
    spans: AtomicU64,
    said: Mutex<String>,
}

impl KeepsAll {
    fn keep(&self, mut line: Line) {
        line.0.push('\n');
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line.0);
    }

    /// All that was said so far, a line for each event and span.
    pub(crate) fn said(&self) -> String {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {}={value}", field.name());
    }
}

fn about(metadata: &Metadata<'_>) -> Line {
    Line(format!("{} {}", metadata.level(), metadata.target()))
}

impl Subscriber for KeepsAll {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = about(span.metadata());
        span.record(&mut line);
        self.keep(line);
        Id::from_u64(self.0.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line("span".to_owned());
        values.record(&mut line);
        self.keep(line);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = about(event.metadata());
        event.record(&mut line);
        self.keep(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
