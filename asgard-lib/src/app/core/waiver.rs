//! What commits without an audit event, and why that is no act. Nothing else may.

macro_rules! waivers {
    ($($variant:ident, $what:literal, $reason:literal;)*) => {
        /// A named waiver of the audit event that every commit needs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum AuditWaiver {
            $(#[doc = $what] $variant,)*
        }

        #[cfg(test)]
        impl AuditWaiver {
            /// Every waiver.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }

            /// What is committed under it.
            pub(crate) const fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }

            /// Why that is no act.
            pub(crate) const fn reason(self) -> &'static str {
                match self { $(Self::$variant => $reason,)* }
            }
        }
    };
}

waivers! {
    LeaseUpkeep, "Taking, renewing and handing back the lease of a periodic task; renewing that of a run.",
        "A lease says who works, not what was done. What is done under it is audited.";
    LogSegment, "Appending to the log of a run.",
        "It is what a run says while it works. Its start and its end are audited.";
    RunState, "Storing a state that Terraform wrote.",
        "It is part of a run, whose start and end are audited; losing it would lose what exists.";
    RunFacts, "Noting which engine, module and inputs a run uses, and that its plan begins to be applied.",
        "It is part of a run, whose start is audited.";
    LaunchMark, "Noting that a supervisor is being started for a run, or sooner than planned.",
        "Nothing has begun yet. The start is audited when the supervisor claims the run.";
    JobBookkeeping, "Claiming, prolonging, settling and handing back a job, noting that one is done, and appending one again that gave up.",
        "A job is work that an audited commit asked for. What it does is audited where it is done.";
    KeptReply, "Keeping the reply to a call that changed nothing, for the replay of its idempotency key.",
        "Nothing happened.";
    PreparedValue, "Appending the job that forgets the values of inputs unless the request that they came with is committed.",
        "Nothing was asked for yet. The request is audited when it is committed.";
    Throttle, "Counting an attempt to sign in before the password is looked at.",
        "Guesses would fill the log. A sign-in that succeeds is audited.";
    Sealing, "Sealing the audit log, and appending to the event feed.",
        "It changes nothing that anybody did, and an event for each block would never end.";
    DroppedSecrets, "Removing secrets whose outputs or whose resource are gone, one after the other.",
        "The end of the run that took them away is audited.";
    CollectedModule, "Removing a kept module that no state and no run refers to.",
        "The end of the run that took the last reference away is audited.";
    Rewriting, "Writing a record again in the layout of this version, naming the accounts that its addresses mean, and counting what of its \
        cost no person has approved.",
        "The record says what it said before, and what follows from it.";
    ListRows, "Bringing the rows of a list up to date with the records that they show.",
        "The rows repeat what is recorded elsewhere. What changed the records is audited.";
    SealedValue, "Sealing a secret's value before the commit that names it, and removing a sealed value that nothing names any more.",
        "The commit that names the value, or that took its name away, is audited.";
    Resealing, "Sealing a value again under the active data key, and how far that has come.",
        "The value stays what it was. The data key's making, activation and retirement are audited.";
    Sweep, "How far a periodic task has come, and removing segments of the event feed that have run out.",
        "Nothing of what anybody did changes. Removing audit events is audited.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::{BTreeMap, BTreeSet},
        path::{Path, PathBuf},
    };

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        let skipped = ["core/waiver.rs", "tests.rs"];
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs")
                && !skipped.iter().any(|name| path.ends_with(name))
            {
                found.push(path);
            }
        }
    }

    /// Which files use which waiver.
    fn used() -> BTreeMap<&'static str, BTreeSet<String>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        sources(&root, &mut files);
        let mut used: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for waiver in AuditWaiver::ALL {
                if text.contains(&format!("AuditWaiver::{})", waiver.name())) {
                    let name = file.strip_prefix(&root).unwrap().display().to_string();
                    used.entry(waiver.name()).or_default().insert(name);
                }
            }
        }
        used
    }

    /// The page lists every waiver, why it is none of what is audited, and each file that uses it.
    #[test]
    fn the_page_lists_the_waivers_and_where_they_are_used() {
        let used = used();
        let mut wanted =
            String::from("\n| waiver | what commits under it | why it is no act | where |\n|---|---|---|---|\n");
        for waiver in AuditWaiver::ALL {
            let files = used.get(waiver.name()).unwrap_or_else(|| panic!("{} is used nowhere", waiver.name()));
            let files: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
            let (name, what, why) = (waiver.name(), waiver.what(), waiver.reason());
            wanted.push_str(&format!("| `{name}` | {what} | {why} | {} |\n", files.join(", ")));
        }
        wanted.push('\n');
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/audit.md");
        let (begin, end) = ("<!-- waivers: begin -->\n", "<!-- waivers: end -->\n");
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
            "docs/audit.md is stale; run UPDATE_DOCS=1 cargo test -p asgard-lib lists_the_waivers"
        );
    }
}
