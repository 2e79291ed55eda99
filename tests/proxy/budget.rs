//! The journal's disk budget: warned of in time, and at its end nothing goes on unrecorded.

use std::path::Path;
use std::time::{Duration, Instant};

use consentry::audit::{Answer, Found, Query, search};
use consentry::peer::smsc::Options;
use consentry::smpp::CommandStatus;

use crate::disks::{Traffic, same};
use crate::metrics::{series, wait_for};
use crate::running::{Proxy, ask};
use crate::{audit, bound, recorded, smsc};

const BUDGET: u64 = 2 << 20;

/// Looks every 50 ms until it is so.
pub fn within(what: &str, patience: Duration, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + patience;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Messages on record that went on, and of those the ones without the SMSC's answer.
fn unanswered(folder: &Path) -> usize {
    let mut open = 0;
    search(&folder.join("audit"), &Query::default(), &mut |found| {
        let is_open = |answer| matches!(answer, Answer::Unknown | Answer::Unanswered(_));
        if let Found::Message { answer, .. } = found {
            open += usize::from(is_open(answer));
        }
        std::ops::ControlFlow::Continue(())
    })
    .expect("the journal can be read");
    open
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_disk_budget_messages_are_refused_and_after_a_purge_they_pass() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let more = audit("written")
        + "segment = \"1MiB\"\ndisk_budget = \"2MiB\"\n[admin]\naddress = \"127.0.0.1:0\"\n";
    // What may be purged lies there from before.
    let journal = folder.path().join("audit");
    let old = journal.join("kept").join("old");
    std::fs::create_dir_all(old.parent().expect("a folder")).expect("made");
    std::fs::write(&old, vec![0; BUDGET as usize * 8 / 10]).expect("written");
    let mut proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    let admin = proxy.admin.expect("an admin address");
    wait_for(admin, &[("consentry_audit_disk_budget_octets", BUDGET as f64)]);
    assert!(proxy.logged("disk_budget").is_empty(), "below the high-water mark nothing is said");

    let mut traffic = Traffic::new(bound(&proxy).await);
    traffic.until(|traffic| traffic.full.len() >= 100).await;
    assert!(traffic.passed.len() > 1000, "{} passed before", traffic.passed.len());
    let before = smsc.received().len();
    traffic.until(|traffic| traffic.full.len() >= 300).await;
    assert_eq!(smsc.received().len(), before, "nothing goes on any more");
    within("the log warns", Duration::from_secs(10), || {
        proxy.logged("more than 90 % of [audit] disk_budget").len() == 1
            && proxy.logged("nothing is forwarded").len() == 1
    });
    let (status, why) = ask(admin, "GET /readyz", "", "");
    assert!(status == 503 && why.contains("disk budget"), "{status} {why}");
    let taken = series(admin)["consentry_audit_disk_octets"];
    // What was on its way when it was reached is answered and recorded beyond it.
    assert!((BUDGET as f64..BUDGET as f64 * 1.01).contains(&taken), "{taken}");

    std::fs::remove_file(&old).expect("purged");
    within("messages are taken again", Duration::from_secs(10), || {
        ask(admin, "GET /readyz", "", "").0 == 200
    });
    traffic.settle().await;
    let refused = traffic.full.len();
    traffic.until(|traffic| traffic.passed.len() >= 4000).await;
    assert_eq!(traffic.full.len(), refused);
    traffic.settle().await;
    same(&smsc, &traffic);
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    let (passed, _) = recorded(folder.path());
    assert_eq!(passed.len(), traffic.passed.len(), "what went on is on record");
    assert_eq!(unanswered(folder.path()), 0, "with the SMSC's answer, also beyond the budget");
    assert!(traffic.full.iter().all(|status| *status == CommandStatus::ESME_RMSGQFUL));
}
