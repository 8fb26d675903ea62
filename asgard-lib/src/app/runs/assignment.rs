//! What a supervisor is handed once it holds a run. Read under the lease, so that nobody changes it meanwhile.

use super::{claimed_run::Assignment, state, transition::plan_id};
use crate::{
    app::{
        Asgard,
        services::{
            Service,
            kept::{self, Kept},
        },
    },
    config::{AllowedTarget, Provisioning},
    domain::{
        project::Project,
        request::{Request, Target},
        resource::{Applied, Resource, Spec},
        run::Run,
        secret::Secret,
    },
    error::{Error, Result},
    kernel::{RunId, SecretId, SecretText, Slug, canonical::canonical},
    ports::records::{Records, store_error},
};
use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};
use zeroize::Zeroizing;

/// The context that binds a sealed plan.
pub(super) fn plan_context(run: &RunId) -> String {
    format!("plan|{run}")
}

/// What was read when the run was claimed.
pub(super) struct Claimed {
    pub(super) run: Run,
    pub(super) request: Option<Request>,
    pub(super) resource: Resource,
    pub(super) project: Project,
    pub(super) module: Module,
}

/// What the run works with.
pub(super) enum Module {
    /// The module of the service as it is offered now, and the inputs that are asked for.
    Offered(Arc<Service>),
    /// The module and the inputs that the resource was last applied with.
    Kept(Box<Applied>),
}

/// Why there is no assignment.
pub(super) enum Missing {
    /// The plan is gone; planning again helps.
    Plan,
    /// Something else.
    Error(Error),
}

impl From<Error> for Missing {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Reads what the run needs.
pub(super) async fn assignment(app: &Asgard, claimed: &Claimed) -> Result<Assignment, Missing> {
    let Claimed { run, request, resource, project, module } = claimed;
    let Kept { service, lock } = match module {
        Module::Offered(service) => Kept { service: Arc::clone(service), lock: None },
        Module::Kept(applied) => kept::read(app, &applied.module).await?,
    };
    let mut secrets = present_secrets(app, resource).await?;
    let variables = variables(app, claimed, &service, &mut secrets).await?;
    let state = state::current_state(app, &resource.id).await?;
    let plan = match &run.plan_of {
        Some(planned) => Some(plan(app, planned).await?.ok_or(Missing::Plan)?),
        None => None,
    };
    let provisioning = &app.config().provisioning;
    let (child_env, role) = (child_env(provisioning, &resource.target), role(provisioning, &resource.target));
    Ok(Assignment {
        run: run.clone(),
        request: request.clone(),
        resource: resource.clone(),
        project: project.clone(),
        service,
        lock,
        variables,
        secrets,
        state,
        plan,
        child_env,
        role,
    })
}

/// What the run's children find in their environment. The region of the target wins over that of this process.
fn child_env(provisioning: &Provisioning, target: &Target) -> Vec<(String, SecretText)> {
    let given = provisioning.child_env(target.cloud.as_str());
    let mut given: BTreeMap<String, SecretText> = given.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    if let Some(region) = target.region.as_deref().filter(|_| target.cloud.as_str() == "aws") {
        given.extend(["AWS_REGION", "AWS_DEFAULT_REGION"].map(|name| (name.to_owned(), SecretText::new(region))));
    }
    if role(provisioning, target).is_some() {
        given.retain(|name, _| !gives_credentials(name));
        // Nothing else is to be looked for where the role's credentials have ended.
        given.insert("AWS_EC2_METADATA_DISABLED".to_owned(), SecretText::new("true"));
    }
    given.into_iter().collect()
}

/// The role that runs assume for a target.
fn role(provisioning: &Provisioning, target: &Target) -> Option<String> {
    let account = target.account.as_deref()?;
    let same = |known: &&AllowedTarget| known.cloud == target.cloud && known.account.as_str() == account;
    let known = || provisioning.allowed.iter().filter(same);
    let regional = known().find(|known| known.region.as_ref().map(Slug::as_str) == target.region.as_deref());
    let role = regional.or_else(|| known().next())?.credentials.as_ref()?;
    Some(role.as_str().to_owned())
}

/// Whether a variable gives credentials of AWS, or says where there are some.
fn gives_credentials(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
    ];
    NAMES.contains(&name) || name.starts_with("AWS_CONTAINER_")
}

/// A digest of a run's inputs. Some are guessable secrets, so it is a MAC: only who has the data key can try guesses. With the next
/// data key it is another one, and then a plan that was interrupted is approved again.
pub(super) fn inputs_digest(app: &Asgard, claimed: &Claimed, variables: &Map<String, Value>) -> Result<String> {
    let bytes = Zeroizing::new(canonical(variables).map_err(Error::bug)?);
    let mac = app.sealer().mark(&format!("run inputs|{}", claimed.resource.id), &bytes)?;
    Ok(format!("{}:{}", mac.key, HEXLOWER.encode(&mac.tag)))
}

async fn plan(app: &Asgard, run: &RunId) -> Result<Option<Zeroizing<Vec<u8>>>> {
    app.vault().read(&plan_id(run), &plan_context(run)).await
}

/// The values that the resource has now: they are in its state, and must not show in a log.
async fn present_secrets(app: &Asgard, resource: &Resource) -> Result<Vec<SecretText>> {
    let ids: Vec<String> = resource.secret_refs.values().map(|reference| reference.secret_id.to_string()).collect();
    let mut values = Vec::new();
    for secret in app.store().read_many::<Secret>(&ids).await?.into_iter().flatten() {
        let (id, version) = secret.stored();
        values.extend(app.secrets().get(id, version, &resource.owner()).await?);
    }
    Ok(values)
}

/// Whether a value in the secret store is one of this resource's own, given for this input.
async fn is_own(app: &Asgard, resource: &Resource, input: &str, id: &SecretId) -> Result<bool> {
    let claim = Secret::claim(&resource.project, &resource.secret_name(input));
    let Some(secret) = app.store().holder(&claim).await.map_err(store_error)? else { return Ok(false) };
    let secret = app.store().read::<Secret>(&secret).await?;
    Ok(secret.is_some_and(|secret| secret.resource == resource.id && secret.keeps(id)))
}

/// The spec that the module gets, and how often the secrets were rotated by then.
fn inputs(claimed: &Claimed) -> (&Spec, u32) {
    let Claimed { request, resource, module, .. } = claimed;
    match (module, request) {
        (Module::Kept(applied), _) => (&applied.spec, applied.rotation),
        (Module::Offered(_), Some(request)) => request.command.inputs(resource),
        (Module::Offered(_), None) => (&resource.spec, resource.rotation),
    }
}

async fn variables(
    app: &Asgard,
    claimed: &Claimed,
    service: &Service,
    secrets: &mut Vec<SecretText>,
) -> Result<Map<String, Value>> {
    let resource = &claimed.resource;
    let (spec, rotation) = inputs(claimed);
    let mut variables = service.effective(spec);
    for (input, reference) in &spec.secret_inputs {
        let (id, version) = (&reference.secret, reference.version);
        if !is_own(app, resource, input, id).await? {
            if service.manifest.sensitive_inputs.contains(input) {
                return Err(Error::bug(format!("{id} is no value of the secret input {input} of {}", resource.id)));
            }
            // It was among the plain values of a version before, where somebody had sent it, and it is that again.
            variables.insert(input.clone(), reference.as_a_value());
            continue;
        }
        let found = app.secrets().get(id, version, &resource.owner()).await?;
        let text = found.ok_or_else(|| Error::bug(format!("version {version} of the secret input {id} is gone")))?;
        variables.insert(input.clone(), Value::String(text.reveal().to_owned()));
        secrets.push(text);
    }
    variables.insert("name".into(), json!(resource.name));
    variables.insert("project_id".into(), json!(resource.project));
    variables.insert("rotation".into(), json!(rotation));
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_with_a_role_gets_none_of_asgards_own_credentials() {
        let env = [("ASGARD_TF_ALLOWED", "aws:1, aws:2=arn:aws:iam::000000000002:role/a")];
        let options = crate::config::LoadOptions { env: env.into(), ..crate::config::LoadOptions::default() };
        let mut provisioning = crate::config::load(&options).unwrap().config.provisioning;
        for name in [
            "PATH",
            "AWS_REGION",
            "AWS_ACCESS_KEY_ID",
            "AWS_SESSION_TOKEN",
            "AWS_PROFILE",
            "AWS_CONFIG_FILE",
            "AWS_ENDPOINT_URL",
        ] {
            provisioning.provider_env.insert(name.to_owned(), SecretText::new("own"));
        }
        let of = |account: &str, region: Option<&str>| {
            let target = Target {
                cloud: "aws".parse().unwrap(),
                account: Some(account.to_owned()),
                region: region.map(str::to_owned),
            };
            let names: Vec<String> = child_env(&provisioning, &target).into_iter().map(|(name, _)| name).collect();
            (role(&provisioning, &target).unwrap_or_default(), names.join(" "))
        };
        let (none, names) = of("1", None);
        assert_eq!(none, "");
        assert!(names.contains("AWS_ACCESS_KEY_ID") && !names.contains("METADATA_DISABLED"), "{names}");
        let (role_of_two, names) = of("2", None);
        assert_eq!(role_of_two, "arn:aws:iam::000000000002:role/a");
        assert_eq!(names, "AWS_EC2_METADATA_DISABLED AWS_ENDPOINT_URL AWS_REGION PATH");
        assert_eq!(of("2", Some("eu-west-1")).0, role_of_two, "of any region, where no entry is for that one");
    }

    #[test]
    fn a_run_finds_the_region_of_its_target() {
        let mut provisioning = crate::config::Config::default().provisioning;
        for name in ["PATH", "AWS_REGION", "AWS_ACCESS_KEY_ID"] {
            provisioning.provider_env.insert(name.to_owned(), SecretText::new("own"));
        }
        let found = |cloud: &str, region: Option<&str>| {
            let target = Target { cloud: cloud.parse().unwrap(), account: None, region: region.map(str::to_owned) };
            let found = child_env(&provisioning, &target).into_iter();
            found.map(|(name, value)| format!("{name}={}", value.reveal())).collect::<Vec<_>>()
        };
        assert_eq!(found("local", Some("eu-west-1")), ["PATH=own"]);
        assert_eq!(found("aws", None), ["AWS_ACCESS_KEY_ID=own", "AWS_REGION=own", "PATH=own"]);
        let regional = ["AWS_ACCESS_KEY_ID=own", "AWS_DEFAULT_REGION=eu-west-1", "AWS_REGION=eu-west-1", "PATH=own"];
        assert_eq!(found("aws", Some("eu-west-1")), regional);
    }
}
