//! The ends of chains as anchors, for whoever keeps them outside by asking for them.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use super::marks::{anchors, is_genuine_block, is_genuine_stub};
use crate::{
    app::{Asgard, Hints, Meta, Route, SimpleOperation, Tx, core::list::list_command, core::operation::Method::Get},
    domain::{
        access::{Action, Object},
        audit::{AnchoredHead, AuditBlock, AuditHead, AuditStub},
    },
    error::Result,
    kernel::Page,
    ports::{kinds::AUDIT_HEADS, records::Records, store::Query},
};
use schemars::JsonSchema;
use serde::Serialize;
use typed_builder::TypedBuilder;

/// How many heads are read at a time.
const HEADS: usize = 200;

/// The end of a chain, if its head names the chain's last block and Asgard sealed that, or retention removed it.
pub(crate) async fn end_of(app: &Asgard, head: &AuditHead) -> Result<Option<AnchoredHead>> {
    let AuditHead { chain, number, mac } = head;
    let proven = match app.store().read::<AuditBlock>(&AuditBlock::id(chain, *number)).await? {
        Some(block) => {
            block.chain == *chain
                && block.number == *number
                && block.mac == *mac
                && is_genuine_block(app, &block).await?
        }
        None => match app.store().read::<AuditStub>(&AuditStub::id(chain)).await? {
            Some(stub) => {
                stub.through == *number && stub.last_mac == *mac && is_genuine_stub(app, chain, &stub).await?
            }
            None => false,
        },
    };
    Ok(proven.then(|| AnchoredHead { chain: chain.clone(), number: *number, mac: mac.clone() }))
}

/// Where every chain ends now, as anchors. A chain whose end is not what Asgard sealed is left out.
pub async fn current_anchors(app: &Asgard) -> Result<Vec<String>> {
    let (mut all, mut query) = (Vec::new(), Query::new(&AUDIT_HEADS, "").take(HEADS));
    loop {
        let page = app.store().list::<AuditHead>(&query).await?;
        let mut ends = Vec::new();
        for head in &page.items {
            ends.extend(end_of(app, head).await?);
        }
        all.extend(anchors(app.sealer(), app.world().now(), &ends)?);
        let Some(next) = page.next else { return Ok(all) };
        query = query.after(Some(next));
    }
}

/// Where a chain ends, proven for later.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct AuditAnchorView {
    /// The chain: a project's id, or `org` for what belongs to no project.
    pub chain: String,
    /// The number of its last block.
    pub block: u64,
    /// The anchor: a text to keep where whoever can write to the database cannot change it, and to give to `audit.verify` later.
    pub anchor: String,
}

list_command! {
    /// Gives where every chain of the audit log ends, as anchors.
    #[derive(TypedBuilder)]
    pub struct ListAuditAnchors {}
}

impl SimpleOperation for ListAuditAnchors {
    type Output = Page<AuditAnchorView>;
    const META: Meta = Meta {
        name: "audit.anchors",
        title: "Anchor the audit log",
        description: "Where every chain of the audit log ends, each as a marked text. Keep them where whoever can write to the database cannot, \
                      and verify against them later: that shows what was cut off or set back since. A chain whose end is not what Asgard \
                      sealed is left out; verifying says what is wrong with it.",
        action: Action::ReadAudit,
        routes: &[Route { method: Get, path: "/audit/anchors", status: 200 }],
        tools: &[],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<AuditAnchorView>> {
        tx.allow(Action::ReadAudit, &Object::Nothing)?;
        let (app, now) = (tx.app(), tx.now());
        let heads = app.page("audit/anchors", self.paging(), Query::new(&AUDIT_HEADS, ""), |head| Some(head.value));
        let Page { items, next_cursor } = heads.await?;
        let mut page = Page { items: Vec::with_capacity(items.len()), next_cursor };
        for head in items {
            let head: AuditHead = head;
            let Some(end) = end_of(app, &head).await? else { continue };
            let (chain, block) = (end.chain.clone(), end.number);
            let anchors = anchors(app.sealer(), now, &[end])?;
            page.items.extend(anchors.into_iter().map(|anchor| AuditAnchorView {
                chain: chain.clone(),
                block,
                anchor,
            }));
        }
        Ok(page)
    }
}
