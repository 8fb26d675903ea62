//! Provisioning: which targets are allowed, what is approved automatically, and Terraform.

use super::{
    providers,
    section::{entry, section},
    spec::at,
    value::{AwsName, Refusal, RoleArn, Value},
};
use crate::{
    domain::tier::Tier,
    kernel::{AccountName, SecretText, Slug, Usd},
};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

entry! {
    /// A target that may be provisioned into.
    pub struct AllowedTarget {
        /// The cloud: `aws`, `auth0`.
        cloud: Slug, at("cloud");
        /// The account: an AWS account id, an Auth0 tenant.
        account: AccountName, at("account");
        /// The region, where the cloud has regions. Runs for `aws` find it in `AWS_REGION`.
        region: Option<Slug>, at("region");
        /// The role that runs assume for this target, where the cloud is `aws`. Terraform gets its credentials and none of Asgard's own,
        /// for an hour at most.
        credentials: Option<RoleArn>, at("credentials");
    }, "cloud:account, cloud:account=role, or a map of cloud, account, region, credentials", cloud_and_account
}

fn cloud_and_account(text: &str) -> Result<AllowedTarget, Refusal> {
    let (text, role) = match text.split_once('=') {
        Some((text, role)) => (text, Some(role.trim())),
        None => (text, None),
    };
    let credentials = role.map(|role| RoleArn::parse(role, &at("credentials"))).transpose()?;
    let (cloud, account) = text.split_once(':').ok_or(Refusal::NotAllowed)?;
    let cloud = cloud.trim().parse().map_err(|_| Refusal::NotAllowed)?;
    let account = account.trim().parse().map_err(|_| Refusal::NotAllowed)?;
    Ok(AllowedTarget { cloud, account, region: None, credentials })
}

section! {
    /// Provisioning as it is set.
    pub(super) struct RawProvisioning {
        /// The cloud of the target used when a request names none.
        default_cloud: Option<Slug> = None, at("provisioning.default_cloud")
            .default_note("that of the first allowed target");
        /// The account of the target used when a request names none.
        default_account: Option<AccountName> = None, at("provisioning.default_account")
            .default_note("that of the first allowed target");
        /// The targets that may be provisioned into; every other is refused. The variable takes
        /// `cloud:account,...`, and `cloud:account=role` where runs assume a role.
        allowed: Vec<AllowedTarget> = Vec::new(), at("provisioning.allowed").env("ASGARD_TF_ALLOWED");
        /// Up to how many dollars a month a project of a tier may have without a person's approval, for services that
        /// allow it. A tier that is not listed always needs a person; 0 means free things only.
        auto_approve: BTreeMap<Tier, Usd> = shipped_ceilings(), at("provisioning.auto_approve").unit("dollars a month");
        /// Up to how many dollars a month that no person has approved all projects of one owner may have together, where a project of
        /// a tier asks for more. A tier that is not listed has four times its amount in `auto_approve`.
        auto_approve_owner: BTreeMap<Tier, Usd> = BTreeMap::new(), at("provisioning.auto_approve_owner")
            .unit("dollars a month")
            .default_note("four times `auto_approve`");
        /// Up to how many dollars a month a project may have without a person's approval while its manager has never signed in. The
        /// ceiling of its tier holds as well.
        auto_approve_unconfirmed: Usd = Usd::from_dollars(25), at("provisioning.auto_approve_unconfirmed").unit("dollars a month");
        /// A folder of services that are added to the shipped ones, or replace them.
        services_dir: Option<PathBuf> = None, at("provisioning.services_dir");
        /// The Terraform program.
        bin: PathBuf = PathBuf::from("terraform"), at("provisioning.terraform.bin").env("ASGARD_TF_BIN");
        /// A folder of Terraform modules. Setting it arms provisioning; so does a `terraform` block.
        modules_dir: Option<PathBuf> = None, at("provisioning.terraform.modules_dir")
            .env("ASGARD_TF_MODULES_DIR")
            .default_note("the shipped modules");
        /// Scratch space for runs. Nothing in it is needed after a run.
        work_dir: Option<PathBuf> = None, at("provisioning.terraform.work_dir")
            .env("ASGARD_TF_WORK_DIR")
            .default_note("`asgard-tf` in the system's temporary folder");
        /// A folder of providers, laid out as Terraform's `filesystem_mirror`. Runs then take them from there and from
        /// nowhere else.
        provider_mirror: Option<PathBuf> = None, at("provisioning.terraform.provider_mirror")
            .env("ASGARD_TF_PROVIDER_MIRROR")
            .default_note("each provider's registry");
        /// Folders and files that modules may read besides the system's own, their run's folder and the providers, where the kernel
        /// confines Terraform (Landlock): tools that modules call, certificates. What is Asgard's own stays closed inside them.
        readable: Vec<PathBuf> = Vec::new(), at("provisioning.terraform.readable").env("ASGARD_TF_READABLE");
        /// Accepts that modules may have the role of the machine: on EC2 the instance metadata service gives it to every process. Without
        /// this a server that is armed does not start where that service offers a role.
        accept_instance_role: bool = false, at("provisioning.terraform.accept_instance_role")
            .env("ASGARD_TF_ACCEPT_INSTANCE_ROLE");
        /// Where the instance metadata service is looked for.
        instance_metadata: SocketAddr = SocketAddr::from((Ipv4Addr::new(169, 254, 169, 254), 80)),
            at("provisioning.terraform.instance_metadata").env("ASGARD_TF_INSTANCE_METADATA");
        /// How long one run may take when its service does not say.
        timeout_secs: u64 = 3600, at("provisioning.terraform.timeout_secs").unit("seconds").range(60, 86_400);
        /// How many runs this process supervises at once.
        concurrency: u32 = 4, at("provisioning.terraform.concurrency").unit("runs").range(1, 256);
        /// The Amazon ECS cluster, by name or ARN, whose Fargate tasks carry runs out. Setting it arms provisioning; the
        /// process that it is set for needs no Terraform then.
        fargate_cluster: Option<AwsName> = None, at("provisioning.aws.cluster").env("ASGARD_FARGATE_CLUSTER");
        /// The task definition of these tasks: family, family and revision, or ARN.
        fargate_task_definition: Option<AwsName> = None, at("provisioning.aws.task_definition")
            .env("ASGARD_FARGATE_TASK_DEFINITION");
        /// The container of the task definition that gets the run's id as its command.
        fargate_container: AwsName = AwsName::runner(), at("provisioning.aws.container").env("ASGARD_FARGATE_CONTAINER");
        /// The subnets of the tasks.
        fargate_subnets: Vec<AwsName> = Vec::new(), at("provisioning.aws.subnets").env("ASGARD_FARGATE_SUBNETS");
        /// The security groups of the tasks. Without one they get the default group of the subnets' VPC.
        fargate_security_groups: Vec<AwsName> = Vec::new(), at("provisioning.aws.security_groups")
            .env("ASGARD_FARGATE_SECURITY_GROUPS");
        /// Whether the tasks get public addresses: needed in public subnets without a NAT gateway or endpoints.
        fargate_public_ip: bool = false, at("provisioning.aws.assign_public_ip").env("ASGARD_FARGATE_ASSIGN_PUBLIC_IP");
    }
}

/// Provisioning.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Provisioning {
    /// The targets that may be provisioned into.
    pub allowed: Vec<AllowedTarget>,
    /// The target used when a request names none, of the allowed ones.
    pub default_target: Option<AllowedTarget>,
    /// Dollars a month without a person's approval, by tier. A tier that is missing needs a person.
    pub auto_approve: BTreeMap<Tier, Usd>,
    /// Dollars a month that no person has approved, over all projects of an owner, by the tier of the project that asks. It has every
    /// tier that `auto_approve` has.
    pub auto_approve_owner: BTreeMap<Tier, Usd>,
    /// Dollars a month without a person's approval in a project whose manager has never signed in.
    pub auto_approve_unconfirmed: Usd,
    /// A folder of services that are added to the shipped ones, or replace them.
    pub services_dir: Option<PathBuf>,
    /// Terraform, when provisioning is armed.
    pub terraform: Option<Terraform>,
    /// The tasks that carry runs out, when provisioning is armed and that is not done by processes of this machine.
    pub fargate: Option<Fargate>,
    /// Variables for the children of runs; take those of a target with [`Provisioning::child_env`].
    pub provider_env: BTreeMap<String, SecretText>,
}

/// How Terraform is run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Terraform {
    /// The program; looked for on PATH when it is a bare name.
    pub bin: PathBuf,
    /// A folder of modules that wins over the shipped ones.
    pub modules_dir: Option<PathBuf>,
    /// Scratch space. May be in a folder that others can write to: make it private, refuse what is not ours.
    pub work_dir: PathBuf,
    /// A folder of providers, the only place that they come from; without one, their registries.
    pub provider_mirror: Option<PathBuf>,
    /// What modules may read besides what every program needs.
    pub readable: Vec<PathBuf>,
    /// Whether modules may have the role of the machine.
    pub accept_instance_role: bool,
    /// Where the instance metadata service is looked for.
    pub instance_metadata: SocketAddr,
    /// How long one run may take when its service does not say, in seconds.
    pub timeout_secs: u64,
    /// How many runs this process supervises at once.
    pub concurrency: u32,
}

/// How tasks of Amazon ECS on Fargate are started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fargate {
    /// The cluster's name or ARN.
    pub cluster: String,
    /// The task definition: family, family and revision, or ARN.
    pub task_definition: String,
    /// The container that gets the run's id.
    pub container: String,
    /// The tasks' subnets; one at least.
    pub subnets: Vec<String>,
    /// The tasks' security groups.
    pub security_groups: Vec<String>,
    /// Whether tasks get public addresses.
    pub assign_public_ip: bool,
}

impl Provisioning {
    /// Whether real things are created; otherwise runs are dry.
    pub fn is_armed(&self) -> bool {
        self.terraform.is_some() || self.fargate.is_some()
    }

    /// The allowed target of that cloud and account. Cloud `local` is always allowed; it needs no entry.
    pub fn target(&self, cloud: &Slug, account: &AccountName) -> Option<&AllowedTarget> {
        self.allowed.iter().find(|target| target.cloud == *cloud && target.account == *account)
    }

    /// The target used when a request for a service of `cloud` names no account.
    pub fn default_for(&self, cloud: &Slug) -> Option<&AllowedTarget> {
        let preferred = self.default_target.as_ref().filter(|target| target.cloud == *cloud);
        preferred.or_else(|| self.allowed.iter().find(|target| target.cloud == *cloud))
    }

    /// What a child that works for `cloud` may find in its environment: an allow-list, never the whole.
    pub fn child_env<'a>(&'a self, cloud: &'a str) -> impl Iterator<Item = (&'a str, &'a SecretText)> {
        let wanted = move |(name, _): &(&String, &SecretText)| providers::may_have(cloud, name);
        self.provider_env.iter().filter(wanted).map(|(name, value)| (name.as_str(), value))
    }
}

/// How many projects of an owner may reach the ceiling of their tier where nothing else is said.
const FULL_PROJECTS: i64 = 4;

/// The ceilings of owners: what is set, and for the other tiers a multiple of a project's.
pub(super) fn owners_ceilings(set: BTreeMap<Tier, Usd>, projects: &BTreeMap<Tier, Usd>) -> BTreeMap<Tier, Usd> {
    let multiple = |of: &Usd| Usd::from_micros(of.micros().saturating_mul(FULL_PROJECTS));
    let mut ceilings: BTreeMap<Tier, Usd> = projects.iter().map(|(tier, of)| (*tier, multiple(of))).collect();
    ceilings.extend(set);
    ceilings
}

fn shipped_ceilings() -> BTreeMap<Tier, Usd> {
    let dollars =
        [(Tier::Poc, 50), (Tier::LightOperational, 200), (Tier::WideOperational, 500), (Tier::CriticalPath, 0)];
    dollars.into_iter().map(|(tier, amount)| (tier, Usd::from_dollars(amount))).collect()
}
