//! Keys that their project's owner and manager should look at.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use super::{KeyView, view};
use crate::{
    app::{
        Hints, Meta, Route, SimpleOperation, Tx, core::inbox::Inbox, core::list::list_command,
        core::operation::Method::Get,
    },
    domain::{
        access::{Action, Object},
        credential::{FLAGGED, ProjectKey},
    },
    error::Result,
    kernel::Page,
    ports::kinds,
};
use typed_builder::TypedBuilder;

list_command! {
    /// Lists keys that somebody should look at.
    #[derive(TypedBuilder)]
    pub struct ListFlaggedKeys {}
}

impl SimpleOperation for ListFlaggedKeys {
    type Output = Page<KeyView>;
    const META: Meta = Meta {
        name: "keys.flagged",
        title: "List keys to look at",
        description: "Project keys that an admin minted for others, or whose minter may not mint keys any more: all for admins, those of projects \
                      they own or manage for members, its own for a project key. Owner and manager adopt or revoke them; unattended ones stop.",
        action: Action::ListInbox,
        routes: &[Route { method: Get, path: "/keys/flagged", status: 200 }],
        tools: &["list_flagged_keys"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<KeyView>> {
        tx.allow(Action::ListInbox, &Object::Nothing)?;
        let (app, actor, now) = (tx.app(), tx.actor()?, tx.now());
        let list = format!("keys/flagged/{}", actor.reference().id);
        let walk = Inbox {
            index: &kinds::KEYS_FLAGGED,
            partition: FLAGGED,
            project: |key: &ProjectKey| &key.project,
            only: None,
        };
        let found = |after, limit| walk.concerning(app, actor, after, limit);
        let page = app.page_by(&list, self.paging(), found, Some).await?;
        view::page(app, page, now).await
    }
}
