//! What a proxy says before it serves.

use std::os::unix::fs::PermissionsExt;

use crate::running::Proxy;
use crate::{audit, smsc};

#[test]
fn a_journal_that_others_may_look_into_is_warned_about_in_one_line() {
    let smsc = smsc(Default::default());
    for (mode, lines) in [(None, 0), (Some(0o700), 0), (Some(0o750), 1), (Some(0o701), 1)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let journal = folder.path().join("audit");
        if let Some(mode) = mode {
            std::fs::create_dir(&journal).expect("a folder");
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&journal, mode).expect("it is ours");
        }
        let proxy = Proxy::start(folder.path(), smsc.address(), &audit("written"), "");
        // What this machine lets a process open is not the subject here.
        let is_ours = |line: &&String| line.contains("WARN") && !line.contains("open files");
        let warned = proxy.said.iter().filter(is_ours).collect::<Vec<_>>();
        assert_eq!(warned.len(), lines, "{mode:?}: {warned:?}");
        assert!(warned.iter().all(|line| line.contains("chmod it to 700")), "{warned:?}");
    }
}
