//! Values that only the configuration has.

use super::{Refusal, Value};
use crate::{
    config::{
        problems::Finder,
        spec::Spec,
        yaml::{Content, Node, shorten},
    },
    domain::tier::Tier,
    kernel::{BasePath, DisplayName},
};
use std::{collections::BTreeMap, fmt};
use zeroize::{Zeroize, Zeroizing};

/// A master key: 32 bytes, wiped when dropped, never shown.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// A key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// From 64 hex digits, upper or lower case.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut decoded = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
        let key = <[u8; 32]>::try_from(decoded.as_slice()).ok().map(Self::new);
        decoded.zeroize();
        key
    }

    /// The key itself.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Prints that there is a key, never what it is.
impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Value for MasterKey {
    fn allowed(_: &Spec) -> String {
        "64 hex digits (make them with `openssl rand -hex 32`)".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        Self::from_hex(text).ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        "(secret)".to_owned()
    }
}

/// The address that Asgard is reached at: scheme, host, perhaps a port and perhaps a path, without a slash at the end.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl {
    whole: String,
    origin: String,
    base: BasePath,
}

impl PublicUrl {
    /// The address, for example `https://asgard.example.com` or `https://example.com/governance`.
    pub fn as_str(&self) -> &str {
        &self.whole
    }

    /// The address without its path: what the Origin of a page says.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The path, below which everything is then served.
    pub fn base(&self) -> &BasePath {
        &self.base
    }

    /// The host and, when it is not the scheme's own, the port: what a Host header says.
    pub fn authority(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// Whether it is reached over TLS.
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }

    fn from_text(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let base: BasePath = path.parse().ok()?;
        let scheme = scheme.to_ascii_lowercase();
        let standard = match scheme.as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            Some(_) | None => (authority, None),
        };
        let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host_fits = match v6 {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                let label = |l: &str| {
                    !l.is_empty() && l.len() <= 63 && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                };
                host.len() <= 253 && host.split('.').all(label)
            }
        };
        let authority = authority.to_ascii_lowercase();
        let authority = authority.strip_suffix(standard).unwrap_or(&authority);
        let origin = format!("{scheme}://{authority}");
        (port_fits && host_fits).then(|| Self { whole: format!("{origin}{base}"), origin, base })
    }
}

impl fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.whole)
    }
}

impl Value for PublicUrl {
    fn allowed(_: &Spec) -> String {
        "a scheme and a host, and perhaps a path, for example https://asgard.example.com or https://example.com/governance"
            .to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        Self::from_text(text).ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        self.whole.clone()
    }
}

/// What the dashboard calls the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemName(String);

impl SystemName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SystemName {
    fn default() -> Self {
        Self("Asgard".to_owned())
    }
}

impl Value for SystemName {
    fn allowed(_: &Spec) -> String {
        "1 to 60 characters on one line".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        let name: DisplayName = text.parse().map_err(|_| Refusal::NotAllowed)?;
        let fits = name.as_str().chars().count() <= 60;
        fits.then(|| Self(name.as_str().to_owned())).ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        self.0.clone()
    }
}

/// What AWS calls a thing: its name, its id or its ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AwsName(String);

impl AwsName {
    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What the shipped task definition calls its container.
    pub(in crate::config) fn runner() -> Self {
        Self("runner".to_owned())
    }
}

impl Value for AwsName {
    fn allowed(_: &Spec) -> String {
        "a name, an id or an ARN as AWS shows it: 1 to 512 letters, digits, `.`, `_`, `:`, `/`, `-`".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        let fits =
            (1..=512).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/-".contains(&b));
        fits.then(|| Self(text.to_owned())).ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        self.0.clone()
    }
}

/// An AWS role that is assumed for a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArn(String);

impl RoleArn {
    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for RoleArn {
    fn allowed(_: &Spec) -> String {
        "the ARN of a role, for example arn:aws:iam::123456789012:role/asgard".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        let mut parts = text.splitn(6, ':');
        let partition = |part: &str| part == "aws" || part.starts_with("aws-");
        let name_fits = |role: &str| {
            role.strip_prefix("role/").is_some_and(|name| {
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&b))
            })
        };
        let fits = text.len() <= 2048
            && parts.next() == Some("arn")
            && parts.next().is_some_and(partition)
            && parts.next() == Some("iam")
            && parts.next() == Some("")
            && parts.next().is_some_and(|id| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()))
            && parts.next().is_some_and(name_fits);
        fits.then(|| Self(text.to_owned())).ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        self.0.clone()
    }
}

/// The evidence that promotion into each tier needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceRules(BTreeMap<Tier, Vec<String>>);

const LIGHT: [&str; 11] = [
    "repo_or_source_url",
    "business_owner",
    "technical_owner",
    "team_or_org_of_record",
    "support_contact",
    "runbook_url",
    "monitoring_or_logs_url",
    "ci_status_url",
    "primary_data_flows",
    "critical_flow_test_or_eval_url",
    "state_loss_posture",
];
const WIDE: [&str; 7] = [
    "security_review_status",
    "architecture_summary_url",
    "critical_dependencies",
    "incident_path",
    "slo_or_service_target",
    "rpo_rto",
    "decommission_path",
];
const CRITICAL: [&str; 5] = [
    "executive_accountable_owner",
    "risk_acceptance_url",
    "dr_exercise_evidence_url",
    "audit_retention_requirement",
    "recurring_review_date",
];
/// The tiers that one is promoted into.
const PROMOTED: [Tier; 3] = [Tier::LightOperational, Tier::WideOperational, Tier::CriticalPath];

impl EvidenceRules {
    /// Every list by tier.
    pub fn by_tier(&self) -> &BTreeMap<Tier, Vec<String>> {
        &self.0
    }

    /// The shipped lists; each holds that of the tier below.
    pub fn shipped() -> Self {
        let mut list = Vec::new();
        let steps = Self::shipped_steps().into_iter().map(|(tier, added)| {
            list.extend(added.iter().map(|&name| name.to_owned()));
            (tier, list.clone())
        });
        Self(steps.collect())
    }

    /// What each tier adds to the shipped list of the tier below.
    pub fn shipped_steps() -> [(Tier, &'static [&'static str]); 3] {
        [(Tier::LightOperational, &LIGHT), (Tier::WideOperational, &WIDE), (Tier::CriticalPath, &CRITICAL)]
    }

    /// All the evidence that promotion into `tier` needs; nothing for poc.
    pub fn for_tier(&self, tier: Tier) -> &[String] {
        self.0.get(&tier).map_or(&[], Vec::as_slice)
    }

    /// Every field that some tier asks for, once.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let all: std::collections::BTreeSet<&str> = self.0.values().flatten().map(String::as_str).collect();
        all.into_iter()
    }

    /// The fields that the shipped lists know.
    pub fn known_fields() -> impl Iterator<Item = &'static str> {
        Self::shipped_steps().into_iter().flat_map(|(_, added)| added.iter().copied())
    }
}

/// The name of a piece of evidence.
struct Field(String);

impl Value for Field {
    fn allowed(_: &Spec) -> String {
        "the name of a piece of evidence: 1 to 64 of a-z, 0-9 and _, starting with a letter".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        fits.then(|| Self(text.to_owned())).ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        self.0.clone()
    }
}

impl Value for EvidenceRules {
    fn allowed(_: &Spec) -> String {
        "a map from light-operational, wide-operational or critical-path to a list of names".to_owned()
    }

    fn parse(_: &str, _: &Spec) -> Result<Self, Refusal> {
        Err(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        let lists: Vec<String> = self.0.iter().map(|(tier, names)| format!("{tier}: [{}]", names.join(", "))).collect();
        format!("{{ {} }}", lists.join(", "))
    }

    fn from_node(node: &Node, name: &str, spec: &Spec, problems: &mut Finder<'_>) -> Option<Self> {
        let Content::Map(entries) = &node.content else {
            problems.at_line(node.line, name, format!("not a map; allowed here: {}", Self::allowed(spec)));
            return None;
        };
        let mut rules = Self::shipped();
        for (key, line, value) in entries {
            let path = format!("{name}.{}", shorten(key));
            let tier = key.parse().ok().filter(|tier| PROMOTED.contains(tier));
            if tier.is_none() {
                problems.unknown_key(*line, &path, PROMOTED.map(Tier::as_str));
            }
            let names = Vec::<Field>::from_node(value, &path, spec, problems);
            if let Some((tier, names)) = tier.zip(names) {
                rules.0.insert(tier, names.into_iter().map(|field| field.0).collect());
            }
        }
        Some(rules)
    }
}
