//! How facts look: times, money, ids and states. Small pieces of markup that escape what they hold.

use crate::kernel::{ActorKind, ActorRef, Timestamp, Usd};
use askama::Template;
use serde_json::Value;
use std::time::Duration;

mod badge;

pub(crate) use badge::Badge;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A moment as people say it, with the exact time behind it.
#[derive(Clone, Copy, Template)]
#[template(source = r#"<time datetime="{{ at }}" title="{{ exact() }}">{{ words() }}</time>"#, ext = "html")]
pub(crate) struct When {
    at: Timestamp,
    now: Timestamp,
}

impl askama::filters::HtmlSafe for When {}

impl When {
    /// `at` as seen from `now`.
    pub(crate) const fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    fn exact(&self) -> String {
        exact(self.at)
    }

    fn words(&self) -> String {
        let (past, future) = (self.now.since(self.at), self.at.since(self.now));
        match (span(past.max(future)), future > past) {
            (Span::Moment, _) => "just now".to_owned(),
            (Span::Days(days), _) if days > 6 => self.at.to_string().chars().take(10).collect(),
            (span, true) => format!("in {span}"),
            (span, false) => format!("{span} ago"),
        }
    }
}

/// A moment to the second, in UTC.
pub(crate) fn exact(at: Timestamp) -> String {
    let text = at.to_string();
    let seconds: String = text.chars().take(19).collect();
    format!("{} UTC", seconds.replace('T', " "))
}

/// How long something takes, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    Moment,
    Minutes(u64),
    Hours(u64),
    Days(u64),
}

fn span(duration: Duration) -> Span {
    match duration.as_secs() {
        0..45 => Span::Moment,
        secs if secs < HOUR => Span::Minutes((secs / MINUTE).max(1)),
        secs if secs < DAY => Span::Hours(secs / HOUR),
        secs => Span::Days(secs / DAY),
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Moment => f.write_str("a moment"),
            Self::Minutes(n) => write!(f, "{n} min"),
            Self::Hours(n) => write!(f, "{n} h"),
            Self::Days(1) => f.write_str("1 day"),
            Self::Days(n) => write!(f, "{n} days"),
        }
    }
}

/// How long something took, to the second.
pub(crate) fn took(duration: Duration) -> String {
    let secs = duration.as_secs();
    match secs {
        0 => format!("{} ms", duration.as_millis()),
        secs if secs < MINUTE => format!("{secs} s"),
        secs if secs < HOUR => format!("{} min {} s", secs / MINUTE, secs % MINUTE),
        secs => format!("{} h {} min", secs / HOUR, secs % HOUR / MINUTE),
    }
}

/// How long to wait, rounded up.
pub(crate) fn wait(secs: u64) -> String {
    match secs {
        0..=1 => "a second".to_owned(),
        secs if secs < MINUTE => format!("{secs} seconds"),
        secs if secs <= 90 => "a minute".to_owned(),
        secs => format!("{} minutes", secs.div_ceil(MINUTE)),
    }
}

/// Dollars with the thousands set apart.
pub(crate) fn money(usd: Usd) -> String {
    let plain = usd.to_string();
    let (head, tail) = plain.split_once('.').unwrap_or((plain.as_str(), "00"));
    let (sign, whole) = head.split_once('$').unwrap_or(("", head));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let tail = if tail == "00" { String::new() } else { format!(".{tail}") };
    format!("{sign}${grouped}{tail}")
}

/// Who did something: the person, and what they used when it was not their session.
pub(crate) fn who(actor: &ActorRef) -> String {
    let person = || actor.person.as_ref().map_or_else(|| actor.id.clone(), ToString::to_string);
    match actor.kind {
        ActorKind::Human => person(),
        ActorKind::UserToken => format!("{} (token)", person()),
        ActorKind::ProjectKey => format!("{} (project key)", person()),
        ActorKind::Agent => match &actor.person {
            Some(person) => format!("agent {} for {person}", actor.id),
            None => format!("agent {}", actor.id),
        },
        ActorKind::System => format!("Asgard ({})", actor.id),
    }
}

/// Parts of machine names that people write in capitals.
const CAPITALS: [&str; 17] =
    ["alb", "api", "arn", "ci", "cpu", "dns", "dr", "id", "ids", "ip", "rpo", "rto", "slo", "uri", "url", "usd", "vpc"];

/// A machine name as words: `critical-path` is `Critical path`, `runbook_url` is `Runbook URL`.
pub(crate) fn words(name: &str) -> String {
    let word = |word: &str| match word {
        "poc" => "PoC".to_owned(),
        "ids" => "IDs".to_owned(),
        capital if CAPITALS.contains(&capital) => capital.to_uppercase(),
        plain => plain.to_owned(),
    };
    let spaced = name.split(['-', '_', ' ']).map(word).collect::<Vec<_>>().join(" ");
    let mut letters = spaced.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// An id where there is little room: its kind and its end, with the whole of it behind.
#[derive(Template)]
#[template(source = r#"<code class="id" title="{{ id }}">{{ short() }}</code>"#, ext = "html")]
pub(crate) struct ShortId {
    id: String,
}

impl askama::filters::HtmlSafe for ShortId {}

impl ShortId {
    /// Of an id.
    pub(crate) const fn new(id: String) -> Self {
        Self { id }
    }

    fn short(&self) -> String {
        short(&self.id)
    }
}

/// An id's kind and its end; any other text as it is.
pub(crate) fn short(text: &str) -> String {
    let is_id =
        |kind: &str, rest: &str| kind.len() == 3 && rest.len() == 26 && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    match text.split_once('_') {
        Some((kind, rest)) if is_id(kind, rest) => format!("{kind}_…{}", rest.get(20..).unwrap_or_default()),
        Some(_) | None => text.to_owned(),
    }
}

/// A JSON value on a page: text as it is, everything else as JSON.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "—".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => serde_json::to_string_pretty(value).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_and_exact() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let flash = |secs: i64| When::new(Timestamp::from_millis(now.as_millis() + secs * 1000), now).words();
        for (secs, words) in [
            (0, "just now"),
            (-44, "just now"),
            (-60, "1 min ago"),
            (-3599, "59 min ago"),
            (-7200, "2 h ago"),
            (-86_400, "1 day ago"),
            (-6 * 86_400, "6 days ago"),
            (-8 * 86_400, "2026-11-14"),
            (3600, "in 1 h"),
            (90 * 86_400, "2027-02-20"),
        ] {
            assert_eq!(flash(secs), words, "{secs}");
        }
        let html = When::new(now, now).to_string();
        assert_eq!(
            html,
            r#"<time datetime="2026-11-22T12:00:00.000000Z" title="2026-11-22 12:00:00 UTC">just now</time>"#
        );
    }

    #[test]
    fn money_is_grouped() {
        for (micros, text) in [
            (0, "$0"),
            (999_000_000, "$999"),
            (1_234_500_000, "$1,234.50"),
            (1_000_000_000_000, "$1,000,000"),
            (-1_500_000_000, "-$1,500"),
        ] {
            assert_eq!(money(Usd::from_micros(micros)), text);
        }
    }

    #[test]
    fn waits_and_durations_are_words() {
        assert_eq!(
            (wait(1), wait(59), wait(61), wait(299)),
            ("a second".into(), "59 seconds".into(), "a minute".into(), "5 minutes".into())
        );
        assert_eq!(took(Duration::from_millis(250)), "250 ms");
        assert_eq!(took(Duration::from_secs(61)), "1 min 1 s");
        assert_eq!(took(Duration::from_secs(7260)), "2 h 1 min");
        assert_eq!(words("needs_attention"), "Needs attention");
        assert_eq!(
            (words("rpo_rto"), words("subnet_ids"), words("poc")),
            ("RPO RTO".into(), "Subnet IDs".into(), "PoC".into())
        );
    }

    #[test]
    fn short_ids_keep_the_end_and_the_whole() {
        let id = "req_01m81ymwggmarcfw7gbygz463n";
        let html = ShortId::new(id.to_owned()).to_string();
        assert_eq!(html, format!(r#"<code class="id" title="{id}">req_…gz463n</code>"#));
        for whole in ["proj-2026-0001", "req_short", "a sentence_with_more_words", "äöü_01m81ymwggmarcfw7gbygz463n"]
        {
            assert_eq!(short(whole), whole);
        }
    }
}
