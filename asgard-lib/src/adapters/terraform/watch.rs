//! Noticing that Terraform wrote its state. Each new serial is stored while Terraform still runs, so that whatever dies
//! next, little is lost.

use super::{
    state::{self, Version},
    workdir::Layout,
};
use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The state files of a run, and what was seen of them.
pub(super) struct Watch {
    layout: Layout,
    /// The last version that was given out, or the one the run began with.
    known: Option<Version>,
    /// What the file looked like when it was last read whole.
    print: Option<Print>,
}

/// What changes when a file is written.
type Print = (u64, u64, i64, i64);

impl Watch {
    /// Watches a run that began with the state `known`.
    pub(crate) fn new(layout: &Layout, known: Option<&[u8]>) -> Self {
        Self { layout: layout.clone(), known: known.and_then(state::version), print: None }
    }

    /// The state, if there is a newer one than was given out before.
    pub(crate) fn newer(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let path = self.layout.state();
        let print = print(&path)?;
        if self.print == Some(print) {
            return None;
        }
        let (version, bytes) = whole(&path)?;
        // Only a state that was read whole need not be looked at again.
        self.print = Some(print);
        self.accept(version, bytes)
    }

    /// After Terraform has ended: also the state that it could not write to its place.
    pub(crate) fn last(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let (version, bytes) = newest(&self.layout)?;
        self.accept(version, bytes)
    }

    fn accept(&mut self, version: Version, bytes: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
        if self.known.as_ref().is_some_and(|known| known.lineage == version.lineage && known.serial >= version.serial) {
            return None;
        }
        self.known = Some(version);
        Some(bytes)
    }
}

/// Whether a folder has a state file that is not a whole state: half of it was written, or it cannot be read. An empty file is what
/// Terraform makes before it has anything to write, unless the run began with a state.
pub(super) fn is_unreadable(layout: &Layout) -> bool {
    let broken = |path: &PathBuf| match fs::read(path).map(Zeroizing::new) {
        Err(error) => error.kind() != ErrorKind::NotFound,
        Ok(bytes) if bytes.is_empty() => layout.began_with().is_some(),
        Ok(bytes) => state::version(&bytes).is_none(),
    };
    [layout.state(), layout.errored_state()].iter().any(broken)
}

/// The newest whole state in a folder.
pub(super) fn newest(layout: &Layout) -> Option<(Version, Zeroizing<Vec<u8>>)> {
    let places = [layout.state(), layout.errored_state()];
    places.iter().filter_map(|path| whole(path)).max_by_key(|(version, _)| version.serial)
}

fn whole(path: &Path) -> Option<(Version, Zeroizing<Vec<u8>>)> {
    let bytes = Zeroizing::new(fs::read(path).ok()?);
    Some((state::version(&bytes)?, bytes))
}

fn print(path: &Path) -> Option<Print> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::{super::testkit, *};
    use crate::domain::run::Inventory;

    fn state(serial: u64, filler: usize) -> String {
        serde_json::json!({"version": 4, "serial": serial, "lineage": "l", "resources": [], "filler": "x".repeat(filler)}).to_string()
    }

    #[test]
    fn each_newer_whole_state_is_given_out_once() {
        let folder = testkit::folder();
        let layout = testkit::layout(folder.path());
        let write = |text: &str| fs::write(layout.state(), text).unwrap();
        let serial = |bytes: Option<Zeroizing<Vec<u8>>>| bytes.map(|bytes| state::version(&bytes).unwrap().serial);
        let mut watch = Watch::new(&layout, Some(state(3, 0).as_bytes()));
        assert_eq!(serial(watch.newer()), None, "nothing there");
        write(&state(3, 0));
        assert_eq!(serial(watch.newer()), None, "what it began with");
        write(&state(4, 10)[..30]);
        assert_eq!(serial(watch.newer()), None, "half written");
        write(&state(4, 10));
        assert_eq!(serial(watch.newer()), Some(4));
        assert_eq!(serial(watch.newer()), None);
        write(&state(6, 0));
        assert_eq!(serial(watch.newer()), Some(6));
        fs::write(layout.errored_state(), state(7, 0)).unwrap();
        assert_eq!(serial(watch.last()), Some(7));
        assert_eq!(serial(watch.last()), None);
        write("");
        assert_eq!(newest(&layout).map(|(version, _)| version.serial), Some(7));
    }

    #[test]
    fn a_state_that_is_not_whole_is_no_missing_state() {
        let folder = testkit::folder();
        let layout = testkit::layout(folder.path());
        assert!(!is_unreadable(&layout), "there is none");
        fs::write(layout.state(), "").unwrap();
        assert!(!is_unreadable(&layout), "Terraform has opened its file and written nothing");
        let whole = state(4, 10);
        for cut in [1, whole.len() / 2, whole.len() - 1] {
            fs::write(layout.state(), &whole[..cut]).unwrap();
            assert!(is_unreadable(&layout), "{cut}");
        }
        fs::write(layout.state(), &whole).unwrap();
        assert!(!is_unreadable(&layout));
        fs::write(layout.errored_state(), &whole[..9]).unwrap();
        assert!(is_unreadable(&layout), "what Terraform could not write to its place is a state, too");
        fs::remove_file(layout.errored_state()).unwrap();
        layout.note_beginning(&Inventory::of(whole.as_bytes())).unwrap();
        fs::write(layout.state(), "").unwrap();
        assert!(is_unreadable(&layout), "there was one, and it is being written again");
        fs::remove_file(layout.state()).unwrap();
        fs::create_dir(layout.state()).unwrap();
        assert!(is_unreadable(&layout), "something else is in its place");
    }
}
