//! Where the values of secrets are: a folder that stands where your company's vault would. Values are not encrypted there;
//! their files can be read by the user of this process and by nobody else.

use asgard_lib::{
    Code, Error, Result,
    foreign::async_trait,
    kernel::{SecretId, SecretText},
    ports::secrets::{SecretOwner, SecretStore},
};
use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};
use tokio::{
    fs::{self, DirBuilder, OpenOptions},
    io::AsyncWriteExt,
};

/// A folder with a file for each version of a secret.
#[derive(Debug)]
pub struct Safe {
    folder: PathBuf,
}

impl Safe {
    /// In that folder, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// A folder that cannot be made.
    pub async fn in_folder(folder: &Path) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).await.map_err(|error| away(&error))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The owner is part of the name, so that nobody else finds it.
    fn file(&self, id: &SecretId, version: u32, owner: &SecretOwner) -> PathBuf {
        self.folder.join(format!("{}.{}.{id}.{version}", owner.project, owner.resource))
    }

    /// Under another name first, so that a version is there wholly or not at all.
    async fn write(&self, id: &SecretId, version: u32, value: &SecretText, owner: &SecretOwner) -> io::Result<()> {
        let draft = self.folder.join(format!("{id}.{version}.draft"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).await?;
        file.write_all(value.reveal().as_bytes()).await?;
        file.sync_all().await?;
        fs::rename(&draft, self.file(id, version, owner)).await
    }
}

/// Nothing of what the file system says is for the caller.
fn away(error: &io::Error) -> Error {
    Error::new(Code::StoreUnavailable, "The company's safe cannot be used just now.").caused_by(error.to_string())
}

#[async_trait]
impl SecretStore for Safe {
    async fn put(&self, id: &SecretId, version: u32, value: &SecretText, owner: &SecretOwner) -> Result<()> {
        match self.get(id, version, owner).await? {
            Some(stored) if stored.reveal() == value.reveal() => Ok(()),
            Some(_) => Err(Error::new(Code::AlreadyExists, "Another value is stored under this version.")),
            None => self.write(id, version, value, owner).await.map_err(|error| away(&error)),
        }
    }

    async fn get(&self, id: &SecretId, version: u32, owner: &SecretOwner) -> Result<Option<SecretText>> {
        match fs::read_to_string(self.file(id, version, owner)).await {
            Ok(text) => Ok(Some(SecretText::new(text))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(away(&error)),
        }
    }

    async fn forget(&self, id: &SecretId, version: u32, owner: Option<&SecretOwner>) -> Result<()> {
        // Only a version of Asgard from before this folder was there names no owner.
        let Some(owner) = owner else { return Ok(()) };
        for number in 0..=version {
            match fs::remove_file(self.file(id, number, owner)).await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(away(&error)),
            }
        }
        Ok(())
    }
}
