//! What a writer to the database, who has no key, can do to the audit log, and what verifying says to each: each attack is made
//! through the store port on a log that was really written and sealed. The table in `docs/audit.md` is made of this list.

mod site;

use crate::{
    domain::audit::{AuditBlock, AuditEvent, AuditHead, AuditMarking, AuditStub},
    ports::{kinds::Kind, store::Store},
};
use serde_json::json;
use site::Site;
use std::sync::Arc;

/// What verifying says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It lists a break that has these words.
    Break(&'static str),
    /// It lists none, and says in `cannot_know`, in these words, that such a thing could have been done.
    CannotKnow(&'static str),
}

macro_rules! attacks {
    ($($name:ident, $moment:literal, $what:literal, $without:expr, $with:expr;)*) => {
        /// An attack on the audit log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Attack {
            $(#[doc = $what] $name,)*
        }

        impl Attack {
            /// Every attack.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it changes: what waits to be sealed, or what is sealed.
            pub const fn moment(self) -> &'static str {
                match self { $(Self::$name => $moment,)* }
            }

            /// What is done, as a sentence.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)* }
            }

            /// What verifying says to it without anchors.
            pub const fn without_anchors(self) -> Verdict {
                match self { $(Self::$name => $without,)* }
            }

            /// What it says with the anchors of before.
            pub const fn with_anchors(self) -> Verdict {
                match self { $(Self::$name => $with,)* }
            }
        }
    };
}

use Verdict::{Break, CannotKnow};

const FORGED: Verdict = Break("its mark is not genuine");
const DELETED: Verdict = CannotKnow("deleted before it is sealed");
const CUT: Verdict = CannotKnow("the last blocks of a chain were cut off");
const GONE: Verdict = CannotKnow("a chain was removed with everything");
const SET_BACK: Verdict = CannotKnow("the whole database was set back");
const CUT_OFF: Verdict = Break("its end was cut off");
const REPLACED: Verdict = Break("names another block of this number");
const BEGINNING: Verdict = Break("does not hold its project's registration");
const MARKING: Verdict = Break("another marking of events");

attacks! {
    DeleteWaiting, "waiting", "A waiting event is deleted.", DELETED, DELETED;
    ChangeWaiting, "waiting", "A waiting event is changed.", FORGED, FORGED;
    MoveWaiting, "waiting", "A waiting event is moved to another project.", FORGED, FORGED;
    InsertUnmarked, "waiting", "An event without a mark is inserted, as a version before would have.", FORGED, FORGED;
    InsertWithAnothersMark, "waiting", "An event is inserted with the mark of another.", FORGED, FORGED;
    InsertAndSeal, "waiting", "An event is inserted, and the sealer has its turn.", FORGED, FORGED;
    InsertForNoProject, "waiting", "An event of a project that does not exist is inserted.", FORGED, FORGED;
    WithholdWaiting, "waiting", "A waiting event is marked as refused, so that it is never sealed.", Break("kept from being sealed"), Break("kept from being sealed");
    HideWaiting, "waiting", "A waiting event is taken out of the list of those that wait.", Break("neither sealed nor waiting"), Break("neither sealed nor waiting");
    UnmakeMarking, "waiting", "The record that says since when events are marked is removed, an event without a mark is inserted, and the sealer has its turn.", MARKING, MARKING;
    ChangeSealed, "sealed", "A sealed event is changed.", Break("The event has been changed"), Break("The event has been changed");
    DeleteSealed, "sealed", "A sealed event is deleted.", Break("The event is missing"), Break("The event is missing");
    InsertSealed, "sealed", "An event is inserted that names a block.", Break("not in the block that it names"), Break("not in the block that it names");
    InsertSealedLongAgo, "sealed", "The same, a year before the first event.", Break("not in the block that it names"), Break("not in the block that it names");
    InsertSecond, "sealed", "A second record with the id of a sealed event is inserted, which says something else.", Break("Another record says"), Break("Another record says");
    ReorderEvents, "sealed", "Two events of a block change places.", Break("the block has been changed"), Break("the block has been changed");
    ReorderBlocks, "sealed", "Two blocks change places.", Break("The block belongs elsewhere"), Break("The block belongs elsewhere");
    ReplaceBlock, "sealed", "A block is replaced by a copy of the one before it.", Break("The block belongs elsewhere"), Break("The block belongs elsewhere");
    DeleteBlock, "sealed", "A block in the middle is removed with its events.", Break("The block is missing"), Break("The block is missing");
    ForgeRemoval, "sealed", "The first block is removed with its events, and a stub says that retention did it.", Break("what retention removed is not genuine"), Break("what retention removed is not genuine");
    SetHeadBack, "sealed", "The head of a chain is restored as it was a block before.", Break("a block after the chain's head"), Break("a block after the chain's head");
    CutLast, "sealed", "The last block is cut off with its events, and the head is restored as it was before.", CUT, CUT_OFF;
    CutAndGoOn, "sealed", "The same, and the chain goes on with new events.", CUT, REPLACED;
    RemoveChain, "sealed", "A project's whole chain is removed: head, blocks and events.", BEGINNING, BEGINNING;
    RemoveChainAndGoOn, "sealed", "The same, and the chain begins anew with new events.", BEGINNING, BEGINNING;
    SealAgain, "sealed", "A project's blocks are removed, and its first events are made to wait again and are sealed anew.", CUT, REPLACED;
    RemoveProject, "sealed", "A project's whole chain is removed, and the project itself.", GONE, Break("the whole chain was removed");
    RestoreEverything, "sealed", "Everything is restored as it was before the last blocks.", SET_BACK, CUT_OFF;
}

/// Makes every attack, each on a store of its own, and compares what verifying says with the table.
pub async fn shows_every_attack<S: Store, K, F: Future<Output = (S, K)>>(fresh: impl Fn() -> F) {
    for attack in Attack::ALL {
        let (store, _kept) = fresh().await;
        let store: Arc<dyn Store> = Arc::new(store);
        let site = Site::sealed_twice(&store).await;
        site.is_sound().await;
        site.perform(*attack).await;
        site.says(*attack, None, attack.without_anchors()).await;
        site.says(*attack, Some(&site.kept()), attack.with_anchors()).await;
    }
}

impl Site {
    async fn perform(&self, attack: Attack) {
        let chain = self.project.to_string();
        let waiting = || self.waiting();
        match attack {
            Attack::DeleteWaiting => self.remove::<AuditEvent>(&waiting().await).await,
            Attack::ChangeWaiting => {
                self.edit::<AuditEvent>(&waiting().await, |body| body["object"] = json!("key_of_nobody")).await;
            }
            Attack::MoveWaiting => {
                self.edit::<AuditEvent>(&waiting().await, |body| body["project"] = json!(self.other)).await;
            }
            Attack::InsertUnmarked => self.forge(|_| {}).await,
            Attack::InsertWithAnothersMark => {
                let marked = self.body::<AuditEvent>(&waiting().await).await;
                self.forge(|body| {
                    for field in ["mac", "mac_key"] {
                        body[field] = marked[field].clone();
                    }
                })
                .await;
            }
            Attack::InsertAndSeal => {
                self.forge(|_| {}).await;
                self.seal().await;
            }
            Attack::InsertForNoProject => self.forge(|body| body["project"] = json!("proj-2020-0001")).await,
            Attack::WithholdWaiting => {
                self.edit::<AuditEvent>(&waiting().await, |body| body["unsealed"] = json!("refused")).await;
            }
            Attack::HideWaiting => {
                self.edit::<AuditEvent>(&waiting().await, |body| {
                    drop(body.as_object_mut().unwrap().remove("unsealed"))
                })
                .await;
            }
            Attack::UnmakeMarking => {
                self.remove::<AuditMarking>(AuditMarking::ID).await;
                self.forge(|_| {}).await;
                self.seal().await;
            }
            Attack::ChangeSealed => {
                let event = self.sealed(&chain, 1).await.remove(1);
                self.edit::<AuditEvent>(&event, |body| body["actor"]["id"] = json!("somebody")).await;
            }
            Attack::DeleteSealed => {
                let event = self.sealed(&chain, 2).await.remove(0);
                self.remove::<AuditEvent>(&event).await;
            }
            Attack::InsertSealed => {
                self.forge(|body| {
                    body.as_object_mut().unwrap().remove("unsealed");
                    body["block"] = json!(1);
                })
                .await;
            }
            Attack::InsertSealedLongAgo => {
                self.forge(|body| {
                    let body = body.as_object_mut().unwrap();
                    for field in ["unsealed", "project"] {
                        body.remove(field);
                    }
                    body.insert("block".into(), json!(1));
                    body.insert("day".into(), json!("2095-11-22"));
                    body.insert("at".into(), json!("2095-11-22T12:00:00.000000Z"));
                })
                .await;
            }
            Attack::InsertSecond => {
                let event = self.sealed(&chain, 1).await.remove(1);
                let mut body = self.body::<AuditEvent>(&event).await;
                body["object"] = json!("something-else");
                self.insert(Kind::AuditEvent, "evt_of_somebody_else", body).await;
            }
            Attack::ReorderEvents => {
                self.edit::<AuditBlock>(&AuditBlock::id(&chain, 1), |body| {
                    body["events"].as_array_mut().unwrap().swap(0, 1);
                })
                .await;
            }
            Attack::ReorderBlocks => {
                let (first, second) = (AuditBlock::id(&chain, 1), AuditBlock::id(&chain, 2));
                let (one, two) = (self.body::<AuditBlock>(&first).await, self.body::<AuditBlock>(&second).await);
                self.edit::<AuditBlock>(&first, |body| *body = two).await;
                self.edit::<AuditBlock>(&second, |body| *body = one).await;
            }
            Attack::ReplaceBlock => {
                let before = self.body::<AuditBlock>(&AuditBlock::id(&chain, 1)).await;
                self.edit::<AuditBlock>(&AuditBlock::id(&chain, 2), |body| *body = before).await;
            }
            Attack::DeleteBlock => self.cut(&chain, 1).await,
            Attack::ForgeRemoval => {
                let block = self.body::<AuditBlock>(&AuditBlock::id(&chain, 1)).await;
                self.cut(&chain, 1).await;
                let stub = json!({
                    "chain": chain, "through": 1, "last_mac": block["mac"], "events": 2, "removed_at": block["sealed_at"],
                    "mac_key": block["mac_key"], "mac": block["mac"],
                });
                self.insert(Kind::AuditBlock, &AuditStub::id(&chain), stub).await;
            }
            Attack::SetHeadBack => self.set_head_back(&chain).await,
            Attack::CutLast => {
                self.cut(&chain, 2).await;
                self.set_head_back(&chain).await;
            }
            Attack::CutAndGoOn => {
                self.cut(&chain, 2).await;
                self.set_head_back(&chain).await;
                self.seal().await;
            }
            Attack::RemoveChain => self.remove_chain(&chain).await,
            Attack::RemoveChainAndGoOn => {
                self.remove_chain(&chain).await;
                self.write().await;
                self.seal().await;
            }
            Attack::SealAgain => {
                let events = [self.sealed(&chain, 1).await, self.sealed(&chain, 2).await].concat();
                for number in [1, 2] {
                    self.remove::<AuditBlock>(&AuditBlock::id(&chain, number)).await;
                }
                self.remove::<AuditHead>(&chain).await;
                let (kept, hidden) = events.split_at(2);
                for event in hidden {
                    self.remove::<AuditEvent>(event).await;
                }
                for event in kept {
                    self.edit::<AuditEvent>(event, |body| {
                        body.as_object_mut().unwrap().remove("block");
                        body["unsealed"] = json!("pending");
                    })
                    .await;
                }
                // What has been written since is sealed with them.
                self.seal().await;
            }
            Attack::RemoveProject => {
                self.remove_chain(&chain).await;
                self.remove::<crate::domain::project::Project>(&chain).await;
            }
            Attack::RestoreEverything => {
                for chain in [chain.as_str(), &self.other.to_string(), "org"] {
                    self.cut(chain, 2).await;
                    self.set_head_back(chain).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn cell(said: Verdict) -> String {
        match said {
            Verdict::Break(words) => format!("break: \u{201c}{words}\u{201d}"),
            Verdict::CannotKnow(words) => format!("no break; `cannot_know`: \u{201c}{words}\u{201d}"),
        }
    }

    /// The page has the attacks as the stores' tests make them, and what verifying says to each.
    #[test]
    fn the_page_lists_the_attacks_and_what_verifying_says() {
        let mut wanted = String::from(
            "\n| what is attacked | attack | without anchors | with the anchors of before |\n|---|---|---|---|\n",
        );
        for attack in Attack::ALL {
            let (without, with) = (cell(attack.without_anchors()), cell(attack.with_anchors()));
            wanted.push_str(&format!("| {} | {} | {without} | {with} |\n", attack.moment(), attack.what()));
        }
        wanted.push('\n');
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/audit.md");
        let (begin, end) = ("<!-- attacks: begin -->\n", "<!-- attacks: end -->\n");
        let text = std::fs::read_to_string(&page).unwrap();
        let (before, rest) = text.split_once(begin).unwrap();
        let (listed, after) = rest.split_once(end).unwrap();
        #[allow(clippy::disallowed_methods, reason = "the switch that writes the page again")]
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&page, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
            return;
        }
        assert_eq!(
            listed, wanted,
            "docs/audit.md is stale; run UPDATE_DOCS=1 cargo test -p asgard-lib lists_the_attacks"
        );
    }

    #[tokio::test]
    async fn verifying_says_what_the_table_says_to_every_attack() {
        shows_every_attack(|| async { (crate::backends::MemoryStore::new(), ()) }).await;
    }
}
