//! What sessions that say nothing cost. Ten thousand of them have to fit in 512 MiB: each may take
//! its share of that, here with fewer, so that a usual limit of descriptors holds both ends.

use consentry::peer::smsc::Options;

use crate::running::Proxy;
use crate::{OURS, answer, audit, bound, smsc, submit};

const SESSIONS: usize = 400;
const SESSION_OCTETS_MAX: u64 = (512 << 20) / 10_000;

/// Resident memory of a process, octets.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it lives");
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kib.map_or(0, |kib: u64| kib * 1024)
}

#[tokio::test]
async fn an_idle_session_takes_no_more_than_its_share_of_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let smsc = smsc(Options::default());
    let more = audit("written");
    let proxy = Proxy::start(folder.path(), smsc.address(), &more, "");
    // What the first session makes, threads and buffers of theirs, is nobody's share.
    let _first = bound(&proxy).await;
    let before = resident(proxy.id());
    let mut esmes = Vec::new();
    for _ in 0..SESSIONS {
        esmes.push(bound(&proxy).await);
    }
    for esme in &mut esmes {
        let pdus: Vec<u8> = (2..12).flat_map(|n| submit(n, OURS, |_| {})).collect();
        esme.send(&pdus).await.expect("sent");
        for _ in 2..12 {
            assert!(answer(esme).await.is_some());
        }
    }
    let each = (resident(proxy.id()) - before) / SESSIONS as u64;
    assert!((1..SESSION_OCTETS_MAX).contains(&each), "{each} octets a session");
}
