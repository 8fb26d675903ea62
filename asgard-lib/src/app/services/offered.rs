//! The catalogue: services read from manifests, the shipped ones embedded in the binary, an operator's own laid over them.

use crate::{
    config::Config,
    domain::{
        resource::Spec,
        service::Manifest,
        target::{AllowList, Allowed},
    },
    error::{Code, Error, Result},
    kernel::Slug,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, path::Path, sync::Arc};

mod read;
mod spec;

pub use read::read_manifest;

static SHIPPED: include_dir::Dir<'static> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/modules");

/// The cloud whose services create nothing outside Asgard.
pub const LOCAL: &str = "local";

/// A service: its manifest, how its inputs are checked, and its Terraform files.
#[derive(Debug)]
pub struct Service {
    /// The manifest.
    pub manifest: Manifest,
    /// The Terraform files by relative path, as they were when the catalogue was loaded.
    pub files: BTreeMap<String, Vec<u8>>,
    /// SHA-256 over the manifest and the files, in hex. Every run records it.
    pub digest: String,
    validator: jsonschema::Validator,
}

impl Service {
    /// A service of a checked manifest and its files.
    pub fn new(mut manifest: Manifest, files: BTreeMap<String, Vec<u8>>) -> Result<Self> {
        manifest.check()?;
        spec::refuse_unknown_inputs(&mut manifest.inputs);
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .build(&manifest.inputs)
            .map_err(|e| Error::invalid("inputs", format!("Not a JSON Schema: {e}")))?;
        let mut hash = Sha256::new();
        hash.update(serde_json::to_vec(&manifest).map_err(Error::bug)?);
        for (name, bytes) in &files {
            hash.update(name.as_bytes());
            hash.update([0]);
            hash.update(Sha256::digest(bytes));
        }
        Ok(Self { digest: data_encoding::HEXLOWER.encode(&hash.finalize()), manifest, files, validator })
    }

    /// A service as it was kept when it was applied. Nothing is checked against its schema any more, and its digest is what it was then.
    pub(super) fn kept(manifest: Manifest, files: BTreeMap<String, Vec<u8>>, digest: String) -> Result<Self> {
        let validator = jsonschema::validator_for(&Value::Bool(true)).map_err(Error::bug)?;
        Ok(Self { manifest, files, digest, validator })
    }

    /// Checks a spec against the manifest: every wrong input by name, unknown ones with the list of allowed ones.
    pub fn check_spec(&self, spec: &Map<String, Value>) -> Result<()> {
        spec::check(&self.manifest, &self.validator, spec)
    }

    /// Checks a spec that was admitted before, against the manifest as it is now. The values of sensitive inputs are elsewhere by then
    /// and are not looked at.
    pub fn check_kept_spec(&self, spec: &Spec) -> Result<()> {
        spec::check_kept(&self.manifest, &self.validator, spec)
    }

    /// The spec with the schema's defaults filled in: what two specs are compared by.
    pub fn effective(&self, spec: &Map<String, Value>) -> Map<String, Value> {
        spec::with_defaults(&self.manifest, spec)
    }
}

/// Everything that can be asked for.
#[derive(Clone, Debug, Default)]
pub struct ServiceCatalog {
    services: BTreeMap<Slug, Arc<Service>>,
    allowed: Vec<Allowed>,
}

impl ServiceCatalog {
    /// The shipped services, or those of `modules_dir` where one is set, with those of `services_dir` laid over them.
    pub fn load(config: &Config) -> Result<Self> {
        let provisioning = &config.provisioning;
        let modules = provisioning.terraform.as_ref().and_then(|terraform| terraform.modules_dir.as_deref());
        let mut services = match modules {
            Some(folder) => {
                read::folder(folder).map_err(of("ASGARD_TF_MODULES_DIR (provisioning.terraform.modules_dir)"))?
            }
            None => read::embedded(&SHIPPED)?,
        };
        if let Some(folder) = &provisioning.services_dir {
            services.extend(read::folder(folder).map_err(of("provisioning.services_dir"))?);
        }
        let entry = |target: &crate::config::AllowedTarget| Allowed {
            cloud: target.cloud.clone(),
            account: target.account.to_string(),
            region: target.region.as_ref().map(ToString::to_string),
        };
        // The default target goes first, because admission takes the first of a cloud.
        let mut allowed: Vec<Allowed> =
            provisioning.default_target.iter().chain(&provisioning.allowed).map(entry).collect();
        let mut seen = Vec::new();
        allowed.retain(|entry| {
            let new = !seen.contains(&(entry.cloud.clone(), entry.account.clone()));
            seen.push((entry.cloud.clone(), entry.account.clone()));
            new
        });
        Ok(Self { services, allowed })
    }

    /// A catalogue of the given services, for embedders and tests.
    pub fn of(services: impl IntoIterator<Item = Service>, allowed: Vec<Allowed>) -> Self {
        Self {
            services: services.into_iter().map(|service| (service.manifest.id.clone(), Arc::new(service))).collect(),
            allowed,
        }
    }

    /// The same, with one service more.
    ///
    /// # Errors
    ///
    /// [`Code::Config`] when there is a service of that id.
    pub fn with(mut self, service: Service) -> Result<Self> {
        let id = service.manifest.id.clone();
        if self.services.contains_key(&id) {
            let message = format!("The service `{id}`: there is another one of this id.");
            return Err(Error::new(Code::Config, message));
        }
        self.services.insert(id, Arc::new(service));
        Ok(self)
    }

    /// A service by id.
    pub fn get(&self, id: &Slug) -> Option<&Arc<Service>> {
        self.services.get(id)
    }

    /// A service by id, or an error that lists the ids.
    pub fn need(&self, id: &Slug) -> Result<&Arc<Service>> {
        self.get(id).ok_or_else(|| {
            let ids: Vec<&str> = self.services.keys().map(Slug::as_str).take(100).collect();
            Error::new(Code::NotFound, format!("There is no service `{id}`; there is: {}.", ids.join(", ")))
                .at("service")
        })
    }

    /// Every service by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// Where things may be created.
    pub fn allow_list(&self) -> AllowList<'_> {
        AllowList { allowed: &self.allowed, local: LOCAL }
    }
}

/// Names the setting that a folder comes from.
fn of(setting: &'static str) -> impl Fn(Error) -> Error {
    move |error| {
        let message = format!("The folder of services that {setting} names cannot be used: {}", error.message());
        Error::new(error.code(), message).caused_by(error)
    }
}

/// The folder that a manifest at `path` lies in.
fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}
