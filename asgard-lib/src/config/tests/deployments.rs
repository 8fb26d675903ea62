//! The environment of the image together with that of every deployment that is documented. A variable that the image sets as well would
//! be given twice: as itself and as a secret's ARN.

use super::*;
use crate::kernel::SecretText;
use std::collections::BTreeMap;

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x-AbCdEf";
const KMS: &str = "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

type Variables = BTreeMap<String, String>;

fn read(path: &str) -> String {
    let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a deployment gives a variable that its files only name: something of the right form.
fn sample(name: &str) -> Option<&'static str> {
    Some(match name {
        _ if name.ends_with("_SECRET_ARN") => ARN,
        "ASGARD_CONFIG" => "registration: { require_manager: true, require_group: true }\n",
        "ASGARD_DATABASE_URL" => "postgres://asgard:password@db:5432/asgard",
        "ASGARD_SECRET_KEY" => KEY,
        "ASGARD_KMS_KEY_ID" | "ASGARD_KMS_KEY_ID_PREVIOUS" => KMS,
        "ASGARD_ADMIN_PASSWORD" => "correct horse battery",
        "ASGARD_PUBLIC_URL" => "https://asgard.example.com",
        "ASGARD_TF_ALLOWED" => "aws:123456789012=arn:aws:iam::123456789012:role/provision",
        "ASGARD_TF_MODULES_DIR" => "/modules",
        "ASGARD_TF_PROVIDER_MIRROR" => "/providers",
        "ASGARD_SECRET_STORE" => "sealed",
        "ASGARD_SECRET_STORE_PATH" => "asgard",
        "ASGARD_LOG" => "info",
        "ASGARD_EVENTS_FUNCTION" => "asgard-events",
        _ if name.starts_with("AUTH0_") => "tenant.example.com",
        _ => return None,
    })
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && ["ASGARD_", "AUTH0_"].iter().any(|prefix| name.starts_with(prefix))
}

/// A value that a file holds as it is, or else a sample.
fn valued(name: &str, written: &str) -> (String, String) {
    let plain = written.trim().trim_matches('"');
    let as_it_is = !plain.is_empty() && !plain.contains(['$', '!', '(', '{']) && !plain.contains("aws_");
    let value = match (as_it_is, sample(name)) {
        (true, _) => plain.to_owned(),
        (false, Some(sample)) => sample.to_owned(),
        (false, None) => panic!("{name} = {written}: say in `sample` what a deployment gives it"),
    };
    (name.to_owned(), value)
}

/// `ENV` of the Dockerfile, all stages together.
fn image() -> Variables {
    let text = read("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("ENV "));
    let pairs = lines.flat_map(str::split_whitespace).filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// `NAME: value` below `asgard:` of the compose file.
fn compose() -> Variables {
    let text = read("docker-compose.yml");
    let of_asgard = text.split_once("\n  asgard:\n").unwrap().1;
    let environment = of_asgard.split_once("environment:\n").unwrap().1.split_once("    volumes:").unwrap().0;
    let pairs = environment.lines().filter_map(|line| line.trim().split_once(": "));
    let given = |(name, value): (&str, &str)| {
        let value = value.split(" #").next().unwrap_or_default();
        is_name(name).then(|| valued(name, value.trim()))
    };
    pairs.filter_map(given).collect()
}

/// `NAME = value` of the ECS module.
fn ecs() -> Variables {
    let text = read("infra/terraform/aws-ecs/service.tf");
    let environment = text.split_once("environment = merge(").unwrap().1.split_once("var.environment,").unwrap().0;
    let pairs = environment.lines().filter_map(|line| line.trim().split_once('='));
    let given = |(name, value): (&str, &str)| {
        let value = value.replace("${local.port}", "8080");
        is_name(name.trim()).then(|| valued(name.trim(), &value))
    };
    pairs.filter_map(given).collect()
}

/// `{ Name: NAME, Value: value }` of the task that the SAM template runs Terraform in.
fn runner() -> Variables {
    let text = read("infra/template.yaml");
    let task = text.split_once("ContainerDefinitions:").unwrap().1.split_once("Secrets: !If").unwrap().0;
    let pairs = task.split("{ Name: ").skip(1).filter_map(|entry| entry.split_once(", Value: "));
    let given = |(name, rest): (&str, &str)| {
        let value = if name == "ASGARD_DATABASE_URL" { "dynamodb://asgard?region=eu-west-1" } else { rest };
        is_name(name).then(|| valued(name, value.split(" }").next().unwrap_or_default()))
    };
    pairs.filter_map(given).collect()
}

/// What the walk through one's own deployment sets: the database and the key as secrets of Secrets Manager.
fn by_itself() -> Variables {
    ["ASGARD_DATABASE_URL_SECRET_ARN", "ASGARD_SECRET_KEY_SECRET_ARN"].map(|name| (name.into(), ARN.into())).into()
}

/// Loads both together, each secret fetched.
fn loaded(image: &Variables, deployment: &Variables) -> Result<Loaded, String> {
    let both = image.iter().chain(deployment).map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let mut env: Environment = both.collect();
    let by_arn = |name: &String| name.strip_suffix("_SECRET_ARN").map(str::to_owned);
    let by_arn: Vec<String> = env.names().map(str::to_owned).collect::<Vec<_>>().iter().filter_map(by_arn).collect();
    for name in &by_arn {
        let secret = sample(name).unwrap_or_else(|| panic!("no sample of {name}"));
        for wanted in env.by_arn([name.as_str()]) {
            env.fetched(&wanted, Ok(SecretText::new(secret)));
        }
    }
    let options = LoadOptions { env, also_known: vec!["ASGARD_EVENTS_FUNCTION"], ..LoadOptions::default() };
    load(&options).map_err(|problems| problems.to_string())
}

#[test]
fn the_image_and_every_documented_deployment_fit_together() {
    let image = image();
    for (what, deployment, least) in [
        ("docker-compose.yml", compose(), 6),
        ("the ECS module", ecs(), 8),
        ("the SAM template's task", runner(), 8),
        ("a deployment of Asgard by itself", by_itself(), 2),
    ] {
        assert!(deployment.len() >= least, "{what}: {deployment:?}");
        if !cfg!(feature = "aws")
            && deployment.values().any(|value| value.contains("arn:") || value.contains("dynamodb:"))
        {
            continue;
        }
        if let Err(problems) = loaded(&image, &deployment) {
            panic!("{what}: {problems}");
        }
    }
}

/// The test above notices what it is for.
#[test]
#[cfg(feature = "aws")]
fn a_variable_of_the_image_that_a_deployment_gives_as_a_secret_is_refused_by_name() {
    for name in ["ASGARD_DATABASE_URL", "ASGARD_SECRET_KEY"] {
        let image = Variables::from([(name.to_owned(), sample(name).unwrap().to_owned())]);
        let problems = loaded(&image, &by_itself()).unwrap_err();
        assert!(problems.contains(name), "{problems}");
    }
}
