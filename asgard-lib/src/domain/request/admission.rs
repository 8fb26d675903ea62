//! May this be asked for there, and what does it cost?

use super::{Request, Target};
use crate::{
    domain::{policy::rules::target_denied, resource::Resource, service::Manifest, target::AllowList},
    error::{Error, Result},
    kernel::{Slug, Usd},
};

/// Picks the target and refuses what the allow-list does not name.
pub fn admit(
    manifest: &Manifest,
    cloud: Option<&Slug>,
    account: Option<&str>,
    allow_list: &AllowList<'_>,
) -> Result<Target> {
    if let Some(cloud) = cloud.filter(|cloud| **cloud != manifest.cloud) {
        return Err(Error::invalid(
            "cloud",
            format!("Service {} belongs to cloud {}, not {cloud}.", manifest.id, manifest.cloud),
        ));
    }
    if manifest.cloud.as_str() == allow_list.local {
        return match account {
            None => Ok(Target { cloud: manifest.cloud.clone(), account: None, region: None }),
            Some(_) => Err(Error::invalid("account", format!("Service {} is local and has no account.", manifest.id))),
        };
    }
    let mut own = allow_list.allowed.iter().filter(|entry| entry.cloud == manifest.cloud);
    let found = match account {
        None => own.next(),
        Some(account) => own.find(|entry| entry.account == account),
    };
    let Some(entry) = found else {
        let refused = target_denied(manifest.cloud.as_str(), account.is_some()).require_not_denied();
        return Err(match (refused, account) {
            (Err(error), Some(_)) => error.at("account"),
            (Err(error), None) => error,
            (Ok(()), _) => Error::bug("a target that is not listed was not denied"),
        });
    };
    Ok(Target { cloud: entry.cloud.clone(), account: Some(entry.account.clone()), region: entry.region.clone() })
}

/// What a request adds to what its resource costs already, whether the request holds it by now or not: never less than nothing.
pub fn added_cost(request: &Request, resource: &Resource) -> Usd {
    request.monthly.saturating_sub(resource.committed).max(Usd::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{service::tests::manifest, target::Allowed},
        error::Code,
    };

    fn entry(cloud: &str, account: &str) -> Allowed {
        Allowed { cloud: cloud.parse().unwrap(), account: account.into(), region: None }
    }

    #[test]
    fn only_listed_targets_and_the_services_own_cloud() {
        let allowed = [entry("auth0", "tenant"), entry("aws", "1"), entry("aws", "2")];
        let rules = AllowList { allowed: &allowed, local: "local" };
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
        let nothing = AllowList { allowed: &[], local: "local" };
        assert_eq!(code(admit(&aws, None, None, &nothing)), Some(Code::TargetNotAllowed));
    }
}
