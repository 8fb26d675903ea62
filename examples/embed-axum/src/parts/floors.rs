//! The company's policy: which floors are given away, and who is asked.

use asgard_lib::{
    Result,
    domain::policy::{Approver, Facts, Judgement},
    ports::policy::Policy,
};
use serde_json::Value;

/// The floor that is being rebuilt.
const REBUILT: u64 = 7;
/// The management's floor.
const MANAGEMENT: u64 = 9;

/// What the company says about a desk on a floor. Asgard joins it with its own rules by the stricter answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Floors;

impl Policy for Floors {
    fn judge(&self, facts: &Facts) -> Result<Judgement> {
        // A desk may always be given back.
        let wanted = facts.wanted.as_ref().filter(|_| facts.service.as_str() == "desk");
        Ok(match wanted.and_then(|wanted| wanted.spec.get("floor")).and_then(Value::as_u64) {
            Some(REBUILT) => Judgement::deny(
                "company.floor-rebuilt".parse()?,
                format!("Floor {REBUILT} is being rebuilt."),
                "The facilities team says when it opens again; until then ask for another floor.",
            ),
            Some(MANAGEMENT) => Judgement::ask(
                "company.management-floor".parse()?,
                Approver::Admin,
                format!("An admin gives away desks on floor {MANAGEMENT}."),
            ),
            Some(_) | None => Judgement::allow("company.any-floor".parse()?, "The company has nothing against it."),
        })
    }
}
