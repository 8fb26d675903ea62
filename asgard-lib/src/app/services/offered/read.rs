//! Reading manifests and their Terraform files, from a folder or from what is embedded. Everything is bounded.

use super::{Service, parent};
use crate::{
    domain::service::Manifest,
    error::{Code, Error, Result},
    kernel::{Slug, words::plainly},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

const MANIFEST: &str = "service.yaml";
const LARGEST_FILE: u64 = 1024 * 1024;
const MAX_FILES: usize = 4000;
const DEEPEST: usize = 8;

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The services embedded in the binary.
pub(super) fn embedded(root: &include_dir::Dir<'_>) -> Result<BTreeMap<Slug, Arc<Service>>> {
    fn walk(dir: &include_dir::Dir<'_>, files: &mut Files) {
        for file in dir.files() {
            files.insert(file.path().to_owned(), file.contents().to_owned());
        }
        for inner in dir.dirs() {
            walk(inner, files);
        }
    }
    let mut files = Files::new();
    walk(root, &mut files);
    services(Path::new("(embedded)"), &files)
}

/// The services below a folder.
pub(super) fn folder(root: &Path) -> Result<BTreeMap<Slug, Arc<Service>>> {
    let mut files = Files::new();
    walk(root, root, 0, &mut files)?;
    let found = services(root, &files)?;
    if found.is_empty() {
        return Err(config(root, "holds no service.yaml"));
    }
    Ok(found)
}

fn config(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(Code::Config, format!("{}: {why}", path.display()))
}

fn walk(root: &Path, dir: &Path, depth: usize, files: &mut Files) -> Result<()> {
    if depth > DEEPEST {
        return Err(config(dir, "is nested too deeply for a folder of services"));
    }
    for entry in std::fs::read_dir(dir).map_err(|e| config(dir, e))? {
        let entry = entry.map_err(|e| config(dir, e))?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') && entry.file_name() != ".terraform.lock.hcl" {
            continue;
        }
        let facts = std::fs::metadata(&path).map_err(|e| config(&path, e))?;
        if facts.is_dir() {
            walk(root, &path, depth + 1, files)?;
        } else if facts.is_file() {
            if facts.len() > LARGEST_FILE {
                return Err(config(&path, "is larger than 1 MiB"));
            }
            if files.len() >= MAX_FILES {
                return Err(config(root, "holds more than 4000 files"));
            }
            let relative = path.strip_prefix(root).unwrap_or(&path).to_owned();
            files.insert(relative, std::fs::read(&path).map_err(|e| config(&path, e))?);
        }
    }
    Ok(())
}

fn services(root: &Path, files: &Files) -> Result<BTreeMap<Slug, Arc<Service>>> {
    let mut found: BTreeMap<Slug, Arc<Service>> = BTreeMap::new();
    for (path, bytes) in files.iter().filter(|(path, _)| path.file_name().is_some_and(|name| name == MANIFEST)) {
        let shown = root.join(path);
        let manifest = parse(&shown, bytes)?;
        let module = parent(path).join(&manifest.module);
        let module: PathBuf =
            module.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect();
        let own = files
            .iter()
            .filter_map(|(file, bytes)| Some((file.strip_prefix(&module).ok()?.to_str()?.to_owned(), bytes.clone())))
            .filter(|(name, _)| name != MANIFEST)
            .collect();
        let id = manifest.id.clone();
        let service = Service::new(manifest, own).map_err(|e| config(&shown, e))?;
        if found.insert(id.clone(), Arc::new(service)).is_some() {
            return Err(config(&shown, format!("service `{id}` is there twice")));
        }
    }
    Ok(found)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Manifest> {
    let text = std::str::from_utf8(bytes).map_err(|_| config(path, "is not UTF-8"))?;
    serde_saphyr::from_str(text).map_err(|e| config(path, plainly(&e.to_string())))
}

/// Reads one manifest with the files beside it and checks it as the catalogue would.
pub fn read_manifest(path: &Path) -> Result<Service> {
    let facts = std::fs::metadata(path).map_err(|e| config(path, e))?;
    if facts.len() > LARGEST_FILE {
        return Err(config(path, "is larger than 1 MiB"));
    }
    let manifest = parse(path, &std::fs::read(path).map_err(|e| config(path, e))?)?;
    let mut files = Files::new();
    let folder = match parent(path) {
        here if here == Path::new("") => PathBuf::from("."),
        folder => folder.to_owned(),
    };
    walk(&folder, &folder, 0, &mut files)?;
    let id = manifest.id.clone();
    let module = Path::new(&manifest.module)
        .components()
        .filter(|part| !matches!(part, std::path::Component::CurDir))
        .collect::<PathBuf>();
    let own: BTreeMap<String, Vec<u8>> = files
        .into_iter()
        .filter_map(|(file, bytes)| Some((file.strip_prefix(&module).ok()?.to_str()?.to_owned(), bytes)))
        .filter(|(name, _)| name != MANIFEST)
        .collect();
    if !own.keys().any(|name| name.ends_with(".tf")) {
        return Err(config(path, format!("service `{id}` has no Terraform files in its module folder")));
    }
    Service::new(manifest, own).map_err(|e| config(path, e))
}
