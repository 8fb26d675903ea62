//! What anchors say of the chains.

use super::AnchorReport;
use crate::{
    app::{Asgard, audit::marks::is_genuine_anchor},
    domain::audit::Anchor,
    error::{Error, Result},
    kernel::Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};

/// How many heads are looked at, at most.
const MAX_HEADS: usize = 500_000;

/// The blocks of one chain that anchors name: by number the marks, each with the time of the anchor.
pub(super) type Named = BTreeMap<u64, BTreeMap<String, Timestamp>>;

/// What genuine anchors say, by chain.
#[derive(Default)]
pub(super) struct Anchored {
    pub chains: BTreeMap<String, Named>,
}

/// Finds the anchors in a text of any form and believes the genuine ones.
pub(super) async fn read(app: &Asgard, text: &str) -> Result<(Anchored, AnchorReport)> {
    let mut anchored = Anchored::default();
    let mut report = AnchorReport { anchors: 0, not_genuine: 0, chains: 0, newest: None, chains_ahead: 0 };
    let mut heads = 0;
    // A log that was collected twice has each line twice.
    let candidates: BTreeSet<&str> = text.lines().flat_map(Anchor::candidates).collect();
    for candidate in candidates {
        report.anchors += 1;
        let genuine = match Anchor::parse(candidate) {
            Some(anchor) => is_genuine_anchor(app, &anchor).await?.then_some(anchor),
            None => None,
        };
        let Some(anchor) = genuine else {
            report.not_genuine += 1;
            continue;
        };
        heads += anchor.heads.len();
        if heads > MAX_HEADS {
            let message =
                format!("More than {MAX_HEADS} heads are too many for one call: give the anchors of a shorter time.");
            return Err(Error::invalid("anchors", message));
        }
        report.newest = report.newest.max(Some(anchor.at));
        for head in anchor.heads {
            let named = anchored.chains.entry(head.chain).or_default().entry(head.number).or_default();
            named.entry(head.mac).and_modify(|at| *at = anchor.at.min(*at)).or_insert(anchor.at);
        }
    }
    if report.anchors == 0 {
        let message = "There is no anchor in what was given. Anchors begin with `asgard-anchor-1;`, in the process's log or in \
                       the file of `audit.anchor_file`.";
        return Err(Error::invalid("anchors", message));
    }
    report.chains = u64::try_from(anchored.chains.len()).unwrap_or(u64::MAX);
    Ok((anchored, report))
}
