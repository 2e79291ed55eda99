//! Looks at the files that are in force, and reloads them when they are others: edited, replaced by renaming, or
//! behind a link that leads elsewhere now, as Kubernetes changes what it mounts.
//!
//! What has changed is reloaded when two looks have found it the same, so that a file that is being written
//! is left alone. While it is invalid it is tried again at every look.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::reloading::{Reloader, WATCH};

/// How often is asked whether files are to be looked at by now.
const IDLE: Duration = Duration::from_secs(1);

/// What tells a file from the one that stood there before. The time of the last change (ctime) cannot be set
/// back by who writes into it, and two looks are further apart than it is exact.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    octets: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The files with their marks; `None` of one that is not there.
type Marks = Vec<(PathBuf, Option<Mark>)>;

/// Looks at files; links are followed. Blocks.
fn look(files: Vec<PathBuf>) -> Marks {
    let mark = |path: &PathBuf| {
        let file = std::fs::metadata(path).ok()?;
        Some(Mark {
            device: file.dev(),
            inode: file.ino(),
            octets: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    };
    files.into_iter().map(|path| (mark(&path), path)).map(|(mark, path)| (path, mark)).collect()
}

/// What is known of the files from one look to the next.
#[derive(Debug, Default)]
struct Seen {
    /// As they were when they were loaded.
    loaded: Marks,
    /// As they were at the look before.
    before: Marks,
    /// Whether the last reload failed.
    failed: bool,
}

impl Seen {
    /// Whether what is there now is to be loaded.
    fn is_due(&mut self, now: &Marks) -> bool {
        let is_settled = self.before == *now;
        self.before.clone_from(now);
        is_settled && (self.failed || self.loaded != *now)
    }
}

/// Looks as often as the configuration in force says, until the proxy drains.
pub(super) async fn watch(reloader: Arc<Reloader>, drain: CancellationToken) {
    let mut seen: Option<Seen> = None;
    loop {
        let every = reloader.watch();
        tokio::select! {
            () = tokio::time::sleep(every.unwrap_or(IDLE)) => {}
            () = drain.cancelled() => return,
        }
        if every.is_none() {
            seen = None;
            continue;
        }
        let mut was = seen.take();
        let reloader = reloader.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let now = look(reloader.files());
            // What stands there when the watch begins may be newer than what was loaded.
            let seen = was.get_or_insert_with(|| Seen { before: now.clone(), ..Seen::default() });
            if seen.is_due(&now) {
                seen.failed = reloader.reload(WATCH).is_err();
                // Files that are named since were not looked at before they were read: they are due
                // once more, and it will be found that nothing has changed.
                seen.loaded = now;
            }
            was
        });
        seen = looked.await.unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_due_when_it_has_changed_and_settled() {
        let marks = |octets: u64| {
            let times = ((1, 1), (1, 1));
            let mark = Mark { device: 1, inode: 1, octets, modified: times.0, changed: times.1 };
            vec![(PathBuf::from("registry.toml"), Some(mark))]
        };
        let gone: Marks = vec![(PathBuf::from("registry.toml"), None)];
        let mut seen = Seen { loaded: marks(1), before: marks(1), failed: false };
        for (now, failed, expected) in [
            (marks(1), false, false),
            (marks(2), false, false),
            (marks(3), false, false),
            (marks(3), false, true),
            (gone.clone(), false, false),
            (gone, false, true),
            (marks(1), false, false),
            (marks(1), false, false),
            (marks(1), true, true),
        ] {
            seen.failed = failed;
            assert_eq!(seen.is_due(&now), expected, "{now:?}");
        }
    }

    #[test]
    fn every_way_to_change_a_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a"), "1").unwrap();
        std::fs::create_dir(at("first")).unwrap();
        std::fs::create_dir(at("second")).unwrap();
        std::fs::write(at("first/b"), "1").unwrap();
        std::fs::write(at("second/b"), "1").unwrap();
        std::os::unix::fs::symlink("first", at("now")).unwrap();
        let files = || vec![at("a"), at("now/b"), at("none")];
        let mut before = look(files());
        let mut changes = |what: &str, change: &dyn Fn()| {
            assert_eq!(look(files()), before, "before {what}");
            // The clock of the file system is that coarse.
            std::thread::sleep(Duration::from_millis(20));
            change();
            let now = look(files());
            assert_ne!(now, before, "{what}");
            before = now;
        };
        changes("as many octets", &|| std::fs::write(at("a"), "2").unwrap());
        changes("renamed over it", &|| {
            std::fs::write(at("new"), "2").unwrap();
            std::fs::rename(at("new"), at("a")).unwrap();
        });
        changes("another link", &|| {
            std::os::unix::fs::symlink("second", at("next")).unwrap();
            std::fs::rename(at("next"), at("now")).unwrap();
        });
        changes("it comes", &|| std::fs::write(at("none"), "").unwrap());
        changes("it goes", &|| std::fs::remove_file(at("none")).unwrap());
    }
}
