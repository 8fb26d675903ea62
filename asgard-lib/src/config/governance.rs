//! How projects are registered, reviewed and promoted.

use super::{
    section::{entry, section},
    spec::at,
    value::{EvidenceRules, Refusal},
};
use crate::kernel::{DisplayName, Slug};
use std::path::PathBuf;

entry! {
    /// A group that projects belong to.
    pub struct Group {
        /// The name that registrations use.
        key: Slug, at("key");
        /// The name that people read.
        display_name: DisplayName, at("display_name");
        /// Who pays.
        cost_center: Option<DisplayName>, at("cost_center");
    }, "a map of key, display_name, cost_center", no_short_form
}

fn no_short_form(_: &str) -> Result<Group, Refusal> {
    Err(Refusal::NotAllowed)
}

section! {
    /// What a registration must say.
    pub struct Registration {
        /// The groups that a project may belong to. With none, any group is accepted.
        groups: Vec<Group> = Vec::new(), at("groups");
        /// Whether a project needs a manager who is not its owner. When it does not, the owner manages it.
        require_manager: bool = true, at("registration.require_manager");
        /// Whether a project needs a group.
        require_group: bool = true, at("registration.require_group");
        /// Whether a project's group must have a cost centre.
        require_cost_center: bool = false, at("registration.require_cost_center");
    }
}

impl Registration {
    /// Whether any group is accepted, because none is configured.
    pub fn is_open_mode(&self) -> bool {
        self.groups.is_empty()
    }

    /// The configured group of that key.
    pub fn group(&self, key: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.key.as_str() == key)
    }
}

section! {
    /// What a tier above poc asks for.
    pub struct Governance {
        /// The evidence that a tier above poc needs: all of it, for each tier that is listed. Tiers that are not
        /// listed keep their shipped lists.
        classification_requirements: EvidenceRules = EvidenceRules::shipped(),
            at("classification_requirements").default_note("the shipped lists; each holds that of the tier below");
        /// How many maintainers a system above light-operational should have; fewer are reported as understaffed.
        maintainer_min: u32 = 2, at("governance.maintainer_min").unit("people").range(1, 100);
    }
}

section! {
    /// When projects are looked at again.
    pub struct Review {
        /// How long after its registration a poc is reviewed.
        poc_window_days: u64 = 90, at("review.poc_window_days").unit("days").range(1, 3650);
        /// How often the date moves on by itself before a person must decide.
        auto_extensions: u32 = 1, at("review.auto_extensions").unit("extensions").range(0, 100);
        /// How often overdue reviews are looked for.
        sweep_secs: u64 = 86_400, at("review.sweep_secs").unit("seconds").range(10, 31 * 86_400);
    }
}

section! {
    /// How long the audit log is kept, and where its anchors are.
    pub struct Audit {
        /// How long sealed events are kept. After that they are removed, block by block, and what is left still verifies. 0 keeps
        /// everything for ever.
        retention_days: u64 = 0, at("audit.retention_days").unit("days").range(0, 36_500);
        /// A file to which the sealer appends the heads of the log's chains as anchors, beside the process's log. Keep it where whoever
        /// can write to the database cannot: `asgard audit verify --anchors` shows by it what was cut off or set back.
        anchor_file: Option<PathBuf> = None, at("audit.anchor_file").env("ASGARD_AUDIT_ANCHOR_FILE");
    }
}

section! {
    /// Leases of runs and of background loops.
    pub struct Runs {
        /// How long after its holder went silent a lease may be taken over.
        lease_ttl_secs: u64 = 600, at("lease_ttl_secs").unit("seconds").range(60, 86_400);
        /// How often what exists is compared with what should.
        reconcile_secs: u64 = 120, at("reconcile_secs").unit("seconds").range(5, 86_400);
    }
}
