//! The key file: what SQLite uses when no master key is configured.

use super::LocalKey;
use crate::{
    adapters::Keyring,
    error::{Code, Error, Result},
    kernel::SecretText,
    ports::{secrets::KeyWrapper, store::Store, world::World},
};
use data_encoding::HEXLOWER;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Where a key from a file came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The file was there.
    Loaded,
    /// The file was made just now.
    Created,
}

/// A file with a master key, readable by its owner alone.
#[derive(Clone, Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The key file at `path`.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the file is.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The key of this file, made now if the file is missing and `store` has no keyring yet. A store that has one keeps
    /// its old key's name only; making another key could open nothing, so that is refused and nothing is written.
    ///
    /// Reads and writes a small file: call it while booting.
    pub(crate) async fn open(&self, store: &dyn Store, world: &World) -> Result<(LocalKey, Origin)> {
        if let Some(key) = self.load(world)? {
            return Ok((key, Origin::Loaded));
        }
        let masters = Keyring::masters_of(store).await?;
        if !masters.is_empty() {
            return Err(self.refuse(format!(
                "is missing, and the database's keys are wrapped under the master key {}. Put the file back from a backup, or set ASGARD_SECRET_KEY to that key",
                masters.join(" and ")
            )));
        }
        self.create(world)
    }

    /// The key, if the file is there. Refuses a file that others can read or that does not hold a key.
    pub(crate) fn load(&self, world: &World) -> Result<Option<LocalKey>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.refuse("cannot be opened").caused_by(error)),
        };
        self.check_access(&file)?;
        let mut text = Zeroizing::new(Vec::with_capacity(128));
        Read::by_ref(&mut file)
            .take(128)
            .read_to_end(&mut text)
            .map_err(|e| self.refuse("cannot be read").caused_by(e))?;
        let line = text.strip_suffix(b"\n").unwrap_or(&text);
        let line = std::str::from_utf8(line).map(SecretText::new).map_err(|_| self.refuse("is not text"))?;
        match LocalKey::from_hex(&line, world.clone()) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(self.refuse(format!("does not hold a master key. {}", error.message()))),
        }
    }

    /// Writes a new random key, or loads the one that another process wrote first.
    fn create(&self, world: &World) -> Result<(LocalKey, Origin)> {
        let key = Zeroizing::new(world.random::<32>());
        let mut line = Zeroizing::new(HEXLOWER.encode(&*key));
        line.push('\n');
        if self.publish(&line, world).map_err(|e| self.refuse("cannot be written").caused_by(e))? {
            let key = LocalKey::new(key, world.clone());
            tracing::info!(key.file = %self.path.display(), key.master = key.master_id(), "Made a master key. Back up this file: without it nothing encrypted can be read.");
            return Ok((key, Origin::Created));
        }
        let key = self.load(world)?.ok_or_else(|| self.refuse("vanished while it was being read"))?;
        Ok((key, Origin::Loaded))
    }

    /// Puts `line` at the path in one step: written and synced under another name, then linked, which fails when the name
    /// is taken. So the file is whole whenever it is there, also after a power cut, and one of two racing processes wins.
    fn publish(&self, line: &str, world: &World) -> io::Result<bool> {
        let mut draft = self.path.clone().into_os_string();
        draft.push(format!(".{}", HEXLOWER.encode(&world.random::<8>())));
        let draft = PathBuf::from(draft);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&draft).and_then(|mut file| {
            file.write_all(line.as_bytes())?;
            file.sync_all()
        });
        let linked = written.and_then(|()| match std::fs::hard_link(&draft, &self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        });
        let removed = std::fs::remove_file(&draft);
        let linked = linked?;
        removed?;
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        File::open(folder)?.sync_all()?;
        Ok(linked)
    }

    #[cfg(unix)]
    fn check_access(&self, file: &File) -> Result<()> {
        use std::os::unix::fs::MetadataExt;
        let meta = file.metadata().map_err(|e| self.refuse("cannot be read").caused_by(e))?;
        if !meta.is_file() {
            return Err(self.refuse("is not a regular file"));
        }
        if meta.mode() & 0o077 != 0 {
            let mode = meta.mode() & 0o777;
            return Err(self.refuse(format!(
                "has mode {mode:04o}, so others on this machine may have read it. Run `chmod 600` on it, and change the master key if they may have"
            )));
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn check_access(&self, _: &File) -> Result<()> {
        Err(self.refuse("cannot be kept private on this platform; set ASGARD_SECRET_KEY instead"))
    }

    fn refuse(&self, why: impl std::fmt::Display) -> Error {
        Error::new(Code::Config, format!("The key file {} {why}.", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{adapters::MasterKeys, backends::MemoryStore};
    use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn a_key_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("asgard.db.key"));
        let (store, world) = (MemoryStore::new(), World::system());
        assert!(file.load(&world).unwrap().is_none());
        let (made, origin) = file.open(&store, &world).await.unwrap();
        assert_eq!(origin, Origin::Created);
        let meta = fs::metadata(file.path()).unwrap();
        assert_eq!((meta.permissions().mode() & 0o777, meta.len()), (0o600, 65));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
        let (loaded, origin) = file.open(&store, &world).await.unwrap();
        assert_eq!((origin, loaded.master_id()), (Origin::Loaded, made.master_id()));
    }

    #[tokio::test]
    async fn a_missing_file_of_a_store_in_use_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("asgard.db.key"));
        let (store, world) = (MemoryStore::new(), World::system());
        let (key, _) = file.open(&store, &world).await.unwrap();
        let master = key.master_id();
        Keyring::open(Arc::new(store.clone()), MasterKeys::only(Arc::new(key)), world.clone()).await.unwrap();
        fs::remove_file(file.path()).unwrap();
        let error = file.open(&store, &world).await.unwrap_err();
        assert_eq!(error.code(), Code::Config);
        assert!(error.message().contains("is missing") && error.message().contains(&master), "{error}");
        assert!(!file.path().exists());
    }

    #[test]
    fn racing_processes_get_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("k"));
        let made: Vec<_> = std::thread::scope(|threads| {
            let racers: Vec<_> = (0..8).map(|_| threads.spawn(|| file.create(&World::system()).unwrap())).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert_eq!(made.iter().filter(|(_, origin)| *origin == Origin::Created).count(), 1);
        assert!(made.iter().all(|(key, _)| key.master_id() == made[0].0.master_id()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_others_can_read_or_that_holds_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::at(folder.path().join("k"));
        let world = World::system();
        let good = "ab".repeat(32);
        for contents in [
            "",
            "\n",
            &good[..63],
            &format!("{good}0"),
            &format!("{good}\n\n"),
            &format!(" {good}"),
            &"zz".repeat(32),
            "\u{0}",
        ] {
            fs::write(file.path(), contents).unwrap();
            mode(file.path(), 0o600);
            let error = file.load(&world).unwrap_err();
            assert_eq!(error.code(), Code::Config);
            assert!(
                error.message().contains("64 hexadecimal") && error.message().contains(file.path().to_str().unwrap()),
                "{error}"
            );
            assert!(!error.chain().contains(&good[..20]));
        }
        fs::write(file.path(), [0xff; 64]).unwrap();
        assert!(file.load(&world).unwrap_err().message().contains("is not text"));
        fs::write(file.path(), &good).unwrap();
        for loose in [0o640, 0o604, 0o620, 0o660, 0o644, 0o601] {
            mode(file.path(), loose);
            let error = file.load(&world).unwrap_err();
            assert!(
                error.message().contains("chmod 600") && error.message().contains(&format!("{loose:04o}")),
                "{error}"
            );
        }
        for tight in [0o600, 0o400] {
            mode(file.path(), tight);
            assert!(file.load(&world).unwrap().is_some());
        }
        fs::remove_file(file.path()).unwrap();
        fs::create_dir(file.path()).unwrap();
        assert!(file.load(&world).is_err());
    }
}
