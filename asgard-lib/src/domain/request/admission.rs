//! May this be asked for, and may it pass without a person?

use super::{Command, Target, Verdict};
use crate::{
    domain::{run::PlanSummary, service::Manifest},
    error::{Code, Error, Result},
    kernel::{Slug, Usd},
};
use serde_json::{Map, Value};

/// An entry of the allow-list, as admission sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The cloud.
    pub cloud: Slug,
    /// The account or tenant.
    pub account: String,
    /// The region, where the entry names one.
    pub region: Option<String>,
}

/// The rules of admission in force.
#[derive(Clone, Debug)]
pub struct Admission<'a> {
    /// Where things may be created.
    pub allowed: &'a [Allowed],
    /// The cloud whose services need no allow-list entry: they create nothing outside Asgard.
    pub local: &'a str,
}

/// Picks the target and refuses what the allow-list does not name.
pub fn admit(
    manifest: &Manifest,
    cloud: Option<&Slug>,
    account: Option<&str>,
    rules: &Admission<'_>,
) -> Result<Target> {
    if let Some(cloud) = cloud.filter(|cloud| **cloud != manifest.cloud) {
        return Err(Error::invalid(
            "cloud",
            format!("Service {} belongs to cloud {}, not {cloud}.", manifest.id, manifest.cloud),
        ));
    }
    if manifest.cloud.as_str() == rules.local {
        return match account {
            None => Ok(Target { cloud: manifest.cloud.clone(), account: None, region: None }),
            Some(_) => Err(Error::invalid("account", format!("Service {} is local and has no account.", manifest.id))),
        };
    }
    let mut own = rules.allowed.iter().filter(|entry| entry.cloud == manifest.cloud);
    let found = match account {
        None => own.next(),
        Some(account) => own.find(|entry| entry.account == account),
    };
    match (found, account) {
        (Some(entry), _) => Ok(Target {
            cloud: entry.cloud.clone(),
            account: Some(entry.account.clone()),
            region: entry.region.clone(),
        }),
        (None, Some(_)) => Err(Error::new(
            Code::TargetNotAllowed,
            format!(
                "That account is not on the allow-list for cloud {}. An operator adds it under provisioning.allowed.",
                manifest.cloud
            ),
        )
        .at("account")),
        (None, None) => Err(Error::new(
            Code::TargetNotAllowed,
            format!(
                "No account of cloud {} is on the allow-list. An operator adds one under provisioning.allowed.",
                manifest.cloud
            ),
        )),
    }
}

/// What may still pass without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// The tier's ceiling in monthly dollars; `None` asks a person for everything that costs.
    pub ceiling: Option<Usd>,
    /// What the project has committed and in flight.
    pub committed: Usd,
}

/// What a request adds to what its resource costs already; never less than nothing while in flight.
pub fn price_change(monthly: Usd, present: Usd) -> Usd {
    monthly.saturating_sub(present).max(Usd::ZERO)
}

/// Whether policy lets a planned request pass.
pub fn verdict(
    manifest: &Manifest,
    command: &Command,
    spec: &Map<String, Value>,
    adds: Usd,
    room: Headroom,
    plan: &PlanSummary,
) -> Verdict {
    let human = |reason: String| Verdict::Human { reason };
    if manifest.asks_human(spec) {
        return human(format!("Service {} is approved by a person.", manifest.id));
    }
    match command {
        Command::Deprovision => {
            return Verdict::Auto { reason: format!("Removing a {} needs no approval.", manifest.id) };
        }
        Command::RotateSecrets => {
            return Verdict::Auto { reason: format!("Rotating secrets of a {} needs no approval.", manifest.id) };
        }
        Command::Provision { .. } => {}
    }
    let lost = plan.delete + plan.replace;
    if lost > 0 {
        return human(format!("It would destroy or replace {lost} existing object(s)."));
    }
    if adds == Usd::ZERO {
        return Verdict::Auto { reason: "It adds no monthly cost.".into() };
    }
    match room.ceiling {
        None => human("This tier has no automatic approval for things that cost.".into()),
        Some(ceiling) if room.committed + adds > ceiling => human(format!(
            "It adds {adds} a month to {} committed or in flight, above the {ceiling} that passes by itself.",
            room.committed
        )),
        Some(ceiling) => Verdict::Auto {
            reason: format!(
                "{} a month in all stays within the {ceiling} that passes by itself.",
                room.committed + adds
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::service::tests::manifest;

    fn entry(cloud: &str, account: &str) -> Allowed {
        Allowed { cloud: cloud.parse().unwrap(), account: account.into(), region: None }
    }

    #[test]
    fn only_listed_targets_and_the_services_own_cloud() {
        let allowed = [entry("auth0", "tenant"), entry("aws", "1"), entry("aws", "2")];
        let rules = Admission { allowed: &allowed, local: "local" };
        let (local, aws) = (manifest("local", "auto"), manifest("aws", "auto"));
        let other: Slug = "gcp".parse().unwrap();
        let code = |r: Result<Target>| r.err().map(|e| e.code());

        assert_eq!(admit(&local, None, None, &rules).unwrap().account, None);
        assert_eq!(code(admit(&local, None, Some("1"), &rules)), Some(Code::InvalidInput));
        assert_eq!(
            admit(&aws, None, None, &rules).unwrap().account.as_deref(),
            Some("1"),
            "the first of its own cloud"
        );
        assert_eq!(admit(&aws, None, Some("2"), &rules).unwrap().account.as_deref(), Some("2"));
        assert_eq!(code(admit(&aws, None, Some("3"), &rules)), Some(Code::TargetNotAllowed));
        assert_eq!(code(admit(&aws, Some(&other), None, &rules)), Some(Code::InvalidInput));
        let nothing = Admission { allowed: &[], local: "local" };
        assert_eq!(code(admit(&aws, None, None, &nothing)), Some(Code::TargetNotAllowed));
    }

    #[test]
    fn policy_passes_only_what_fits() {
        let (auto, human) = (manifest("local", "auto"), manifest("local", "human"));
        let provision = Command::Provision { spec: Map::new() };
        let room = |ceiling: Option<i64>, committed| Headroom {
            ceiling: ceiling.map(Usd::from_dollars),
            committed: Usd::from_dollars(committed),
        };
        let plan = |delete| PlanSummary { delete, ..PlanSummary::default() };
        let passes = |m: &Manifest, c: &Command, adds, room, plan: &PlanSummary| {
            matches!(verdict(m, c, &Map::new(), Usd::from_dollars(adds), room, plan), Verdict::Auto { .. })
        };
        let table = [
            (&auto, &provision, 50, room(Some(50), 0), 0, true),
            (&auto, &provision, 1, room(Some(50), 50), 0, false),
            (&auto, &provision, 0, room(Some(0), 900), 0, true),
            (&auto, &provision, 1, room(Some(0), 0), 0, false),
            (&auto, &provision, 0, room(None, 0), 0, true),
            (&auto, &provision, 1, room(None, 0), 0, false),
            (&auto, &provision, 0, room(Some(50), 0), 1, false),
            (&human, &provision, 0, room(Some(50), 0), 0, false),
            (&human, &Command::Deprovision, 0, room(Some(50), 0), 1, false),
            (&auto, &Command::Deprovision, 0, room(None, 0), 4, true),
            (&auto, &Command::RotateSecrets, 0, room(None, 0), 1, true),
        ];
        for (i, (manifest, command, adds, room, delete, expected)) in table.into_iter().enumerate() {
            assert_eq!(passes(manifest, command, adds, room, &plan(delete)), expected, "row {i}");
        }
        assert_eq!(price_change(Usd::from_dollars(3), Usd::from_dollars(5)), Usd::ZERO);
    }
}
