//! What a project must bring to be registered, and what may be changed later.

use super::{Project, ProjectStatus};
use crate::{
    domain::tier::{DataClass, Tier},
    error::{Code, Error, Result},
    kernel::{ActorRef, DisplayName, Party, ProjectId, Slug, Timestamp, Usd, is_plain_text},
};
use std::collections::BTreeMap;

/// The most evidence fields a project keeps.
pub const MAX_EVIDENCE: usize = 64;
/// The most characters of a description, and of a piece of evidence.
pub const MAX_TEXT: usize = 2000;

/// A group that projects may register against, as the rules see it.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Its key.
    pub key: &'a Slug,
    /// Where its cost goes.
    pub cost_center: Option<&'a str>,
}

/// The registration rules in force.
#[derive(Clone, Debug)]
pub struct Rules<'a> {
    /// The manager must be given and be somebody else.
    pub require_manager: bool,
    /// A group must be given.
    pub require_group: bool,
    /// The group must have a cost center.
    pub require_cost_center: bool,
    /// The groups; empty means any.
    pub groups: Vec<Group<'a>>,
    /// Evidence that each tier asks for.
    pub evidence: &'a BTreeMap<Tier, Vec<String>>,
}

/// A registration as it was asked for.
#[derive(Clone, Debug)]
pub struct Registration {
    /// What people call it.
    pub name: DisplayName,
    /// Who answers for what it does.
    pub owner: Party,
    /// Who answers for the owner.
    pub manager: Option<Party>,
    /// The group.
    pub group: Option<Slug>,
    /// How much depends on it.
    pub classification: Tier,
    /// How sensitive its data is.
    pub data_class: DataClass,
    /// Monthly budget.
    pub budget: Option<Usd>,
    /// What it is for.
    pub description: Option<String>,
    /// Evidence for its tier.
    pub evidence: BTreeMap<String, String>,
}

/// Changes to a project; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// New name.
    pub name: Option<DisplayName>,
    /// New owner.
    pub owner: Option<Party>,
    /// New manager.
    pub manager: Option<Party>,
    /// New group.
    pub group: Option<Slug>,
    /// New data class.
    pub data_class: Option<DataClass>,
    /// New monthly budget.
    pub budget: Option<Usd>,
    /// New description; empty clears it.
    pub description: Option<String>,
    /// Evidence to set; empty text removes a field.
    pub evidence: BTreeMap<String, String>,
}

/// The evidence that a tier asks for and a project lacks.
pub fn missing_evidence(
    tier: Tier,
    evidence: &BTreeMap<String, String>,
    required: &BTreeMap<Tier, Vec<String>>,
) -> Vec<String> {
    let fields = required.get(&tier).map(Vec::as_slice).unwrap_or_default();
    fields.iter().filter(|field| evidence.get(*field).is_none_or(|value| value.trim().is_empty())).cloned().collect()
}

fn check_manager(owner: &Party, manager: Option<Party>, rules: &Rules<'_>) -> Result<Party> {
    match manager {
        None if rules.require_manager => {
            Err(Error::invalid("manager_email", "A manager is required: somebody other than the owner."))
        }
        None => Ok(owner.clone()),
        Some(manager) if manager.same(owner) && rules.require_manager => {
            Err(Error::invalid("manager_email", "Owner and manager must be different people."))
        }
        Some(manager) => Ok(manager),
    }
}

fn check_group(group: Option<&Slug>, rules: &Rules<'_>) -> Result<Option<String>> {
    let Some(key) = group else {
        return if rules.require_group {
            Err(Error::invalid("group", format!("A group is required{}.", one_of(rules))))
        } else {
            Ok(None)
        };
    };
    let known = rules.groups.iter().find(|g| g.key == key);
    if known.is_none() && !rules.groups.is_empty() {
        return Err(Error::invalid("group", format!("There is no group `{key}`{}.", one_of(rules))));
    }
    let cost_center = known.and_then(|g| g.cost_center).map(str::to_owned);
    if rules.require_cost_center && cost_center.is_none() {
        return Err(Error::invalid("group", format!("Group `{key}` has no cost center, and one is required.")));
    }
    Ok(cost_center)
}

fn one_of(rules: &Rules<'_>) -> String {
    if rules.groups.is_empty() {
        return String::new();
    }
    let keys: Vec<&str> = rules.groups.iter().map(|g| g.key.as_str()).take(50).collect();
    format!("; allowed: {}", keys.join(", "))
}

fn check_text(field: &'static str, text: &str) -> Result<()> {
    if text.chars().count() > MAX_TEXT || !is_plain_text(text) {
        let allowed =
            "At most 2000 characters, none of them a control character, invisible or turning the direction of text.";
        return Err(Error::invalid(field, allowed));
    }
    Ok(())
}

fn check_evidence(evidence: &BTreeMap<String, String>) -> Result<()> {
    if evidence.len() > MAX_EVIDENCE {
        return Err(Error::invalid("evidence", "At most 64 fields of evidence."));
    }
    for (field, value) in evidence {
        let named = !field.is_empty()
            && field.len() <= 64
            && field.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !named {
            return Err(Error::invalid(
                "evidence",
                format!("`{}` is not a field name: 1 to 64 of a-z, 0-9 and _.", field.escape_debug()),
            ));
        }
        check_text("evidence", value)?;
    }
    Ok(())
}

/// Registers a project. `by_admin` may register above poc before the evidence is there; the project then says what is missing.
pub fn register(
    wanted: Registration,
    rules: &Rules<'_>,
    by: ActorRef,
    by_admin: bool,
    id: ProjectId,
    now: Timestamp,
) -> Result<Project> {
    let manager = check_manager(&wanted.owner, wanted.manager, rules)?;
    let cost_center = check_group(wanted.group.as_ref(), rules)?;
    check_evidence(&wanted.evidence)?;
    if let Some(text) = &wanted.description {
        check_text("description", text)?;
    }
    let missing = missing_evidence(wanted.classification, &wanted.evidence, rules.evidence);
    if !missing.is_empty() && !by_admin {
        return Err(Error::new(
            Code::InvalidInput,
            format!(
                "Registering as {} needs evidence; missing: {}. Register as poc, give the evidence, or ask an admin.",
                wanted.classification,
                missing.join(", ")
            ),
        )
        .at("evidence"));
    }
    Ok(Project {
        id,
        name: wanted.name,
        owner: wanted.owner,
        manager,
        group: wanted.group,
        cost_center,
        classification: wanted.classification,
        data_class: wanted.data_class,
        budget: wanted.budget,
        description: wanted.description.filter(|text| !text.trim().is_empty()),
        evidence: wanted.evidence,
        status: ProjectStatus::Active,
        created_at: now,
        created_by: by,
        updated_at: now,
    })
}

/// Applies changes. Who may change which field is decided in [`crate::domain::access`].
pub fn update(project: &Project, changes: Changes, rules: &Rules<'_>, now: Timestamp) -> Result<Project> {
    if let ProjectStatus::Decommissioned { .. } = project.status {
        return Err(Error::new(
            Code::ProjectInactive,
            format!("{} has been decommissioned and does not change any more.", project.id),
        ));
    }
    let mut next = project.clone();
    if changes.owner.is_some() || changes.manager.is_some() {
        next.owner = changes.owner.unwrap_or(next.owner);
        next.manager = check_manager(&next.owner, Some(changes.manager.unwrap_or(next.manager)), rules)?;
    }
    if let Some(group) = changes.group {
        next.cost_center = check_group(Some(&group), rules)?;
        next.group = Some(group);
    }
    if let Some(text) = changes.description {
        check_text("description", &text)?;
        next.description = Some(text).filter(|text| !text.trim().is_empty());
    }
    next.name = changes.name.unwrap_or(next.name);
    next.data_class = changes.data_class.unwrap_or(next.data_class);
    next.budget = changes.budget.or(next.budget);
    // What is taken away is named as well: a name that no field can have is a mistake.
    check_evidence(&changes.evidence)?;
    for (field, value) in changes.evidence {
        if value.trim().is_empty() {
            next.evidence.remove(&field);
        } else {
            next.evidence.insert(field, value);
        }
    }
    check_evidence(&next.evidence)?;
    next.updated_at = now;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{evidence, project, wanted};
    use super::*;
    use crate::kernel::ActorKind;

    fn by() -> ActorRef {
        ActorRef { kind: ActorKind::Human, id: "usr_x".into(), person: None, user: None }
    }

    fn try_register(wanted: Registration, rules: &Rules<'_>, by_admin: bool) -> Result<Project> {
        register(wanted, rules, by(), by_admin, ProjectId::new(2026, 1), Timestamp::from_millis(0))
    }

    #[test]
    fn each_rule_names_its_field() {
        let platform: Slug = "platform".parse().unwrap();
        let required = evidence();
        let strict = Rules {
            require_manager: true,
            require_group: true,
            require_cost_center: false,
            groups: vec![Group { key: &platform, cost_center: Some("CC-100") }],
            evidence: &required,
        };
        let solo = Rules { require_manager: false, require_group: false, groups: vec![], ..strict.clone() };
        let field = |w: Registration, rules: &Rules<'_>, admin| {
            try_register(w, rules, admin).err().and_then(|e| e.field().map(str::to_owned))
        };

        assert_eq!(try_register(wanted(), &strict, false).unwrap().cost_center.as_deref(), Some("CC-100"));
        assert_eq!(field(Registration { manager: None, ..wanted() }, &strict, false).as_deref(), Some("manager_email"));
        assert_eq!(
            field(Registration { manager: Some(wanted().owner), ..wanted() }, &strict, true).as_deref(),
            Some("manager_email")
        );
        assert_eq!(field(Registration { group: None, ..wanted() }, &strict, false).as_deref(), Some("group"));
        assert_eq!(
            field(Registration { group: "other".parse().ok(), ..wanted() }, &strict, false).as_deref(),
            Some("group")
        );
        assert_eq!(
            try_register(Registration { manager: None, group: None, ..wanted() }, &solo, false).unwrap().manager,
            wanted().owner
        );

        let light = Registration { classification: Tier::LightOperational, ..wanted() };
        assert_eq!(field(light.clone(), &strict, false).as_deref(), Some("evidence"));
        let early = try_register(light.clone(), &strict, true).unwrap();
        assert_eq!(missing_evidence(early.classification, &early.evidence, &required), vec!["runbook_url".to_owned()]);
        let full = Registration { evidence: BTreeMap::from([("runbook_url".into(), "https://r".into())]), ..light };
        assert!(try_register(full, &strict, false).is_ok());
        let odd = Registration { evidence: BTreeMap::from([("Bad Field".into(), "x".into())]), ..wanted() };
        assert_eq!(field(odd, &strict, false).as_deref(), Some("evidence"));
    }

    #[test]
    fn updates_keep_the_rules() {
        let required = evidence();
        let rules = Rules {
            require_manager: true,
            require_group: true,
            require_cost_center: false,
            groups: vec![],
            evidence: &required,
        };
        let now = Timestamp::from_millis(9);
        let before = project();
        let same_person = Changes { manager: Some(before.owner.clone()), ..Changes::default() };
        assert!(update(&before, same_person, &rules, now).is_err());
        let swap =
            Changes { owner: Some(before.manager.clone()), manager: Some(before.owner.clone()), ..Changes::default() };
        assert_eq!(update(&before, swap, &rules, now).unwrap().owner, before.manager);
        let clear = Changes {
            evidence: BTreeMap::from([("a".into(), String::new())]),
            description: Some(" ".into()),
            ..Changes::default()
        };
        let after =
            update(&Project { evidence: BTreeMap::from([("a".into(), "1".into())]), ..before }, clear, &rules, now)
                .unwrap();
        assert!(after.evidence.is_empty() && after.description.is_none());
        assert_eq!(after.updated_at, now);
    }
}
