//! Taking secret values out of text: by value, in every form in which a program is likely to print them.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use std::collections::BTreeSet;

mod forms;

/// What stands where a secret was.
pub(super) const HIDDEN: &str = "(secret)";
/// What stands for a whole text when there are too many secrets to look for.
const WITHHELD: &str = "(withheld: this run has too many secret values to check the text for them)";
/// Shorter values are not hidden: they would match everywhere, and nobody keeps a secret of five characters.
const SHORTEST: usize = 6;
/// The most that is looked for. Past it nothing is shown.
const MAX_BYTES: usize = 256 << 10;

/// Hides a set of secret values.
pub(super) struct Redactor {
    /// `None` withholds everything.
    patterns: Option<AhoCorasick>,
}

impl Redactor {
    /// A redactor of the given values.
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut pieces = BTreeSet::new();
        for value in values {
            pieces.insert(value);
            // Logs are told line by line, so a key of many lines is looked for line by line too.
            pieces.extend(value.lines().map(str::trim));
        }
        pieces.retain(|piece| piece.len() >= SHORTEST);
        if pieces.iter().map(|piece| piece.len()).sum::<usize>() > MAX_BYTES {
            return Self { patterns: None };
        }
        let patterns: BTreeSet<Vec<u8>> =
            pieces.iter().flat_map(|piece| forms::of(piece)).filter(|form| form.len() >= SHORTEST).collect();
        // Every occurrence counts, also of values that overlap: what is left of one must not stay because another came first.
        let built = AhoCorasickBuilder::new().match_kind(MatchKind::Standard).build(&patterns);
        Self { patterns: built.map_err(|error| tracing::error!("secrets cannot be looked for: {error}")).ok() }
    }

    /// The text without the secrets.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut texts = self.texts(&[text]);
        texts.pop().unwrap_or_default()
    }

    /// Pieces of one stream of text without the secrets, also those that are cut by the end of a piece: a program that
    /// writes slowly has its lines told in parts.
    pub(crate) fn texts(&self, pieces: &[&str]) -> Vec<String> {
        let Some(patterns) = &self.patterns else {
            return pieces
                .iter()
                .map(|piece| if piece.trim().is_empty() { String::new() } else { WITHHELD.to_owned() })
                .collect();
        };
        let whole: String = pieces.concat();
        let mut hidden: Vec<(usize, usize)> = Vec::new();
        let mut found: Vec<(usize, usize)> =
            patterns.find_overlapping_iter(&whole).map(|found| (found.start(), found.end())).collect();
        found.sort_unstable();
        for (start, end) in found {
            match hidden.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => hidden.push((start, end)),
            }
        }
        let mut from = 0;
        pieces
            .iter()
            .map(|piece| {
                let to = from + piece.len();
                let out = without(&whole, from, to, &hidden);
                from = to;
                out
            })
            .collect()
    }
}

/// `whole[from..to]` with the parts that are `hidden` replaced.
fn without(whole: &str, from: usize, to: usize, hidden: &[(usize, usize)]) -> String {
    let mut out = String::new();
    let mut at = from;
    let first = hidden.partition_point(|(_, end)| *end <= from);
    for (start, end) in hidden.iter().skip(first).take_while(|(start, _)| *start < to) {
        out.push_str(whole.get(at..(*start).max(at)).unwrap_or_default());
        out.push_str(HIDDEN);
        at = (*end).min(to);
    }
    out.push_str(whole.get(at..to).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests;
