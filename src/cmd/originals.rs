//! What the ids of SMSCs stand for, kept beside the journal over restarts: one line each, oldest first,
//! encrypted as the journal's numbers are.
//!
//! It is written anew while the proxy runs and when it stops. After it was killed, the ids of the last
//! half minute are not known, and what names them is refused.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use super::record::hex;
use crate::audit::keys;
use crate::proxy::Shared;
use crate::registry::Msisdn;
use crate::session::Knowledge;
use crate::session::originals::{Original, Originals};

/// How often the file is written anew, where anything changed.
const EVERY: Duration = Duration::from_secs(30);

/// Entries that are copied while nobody else may remember or look up.
const PAGE_ENTRIES: usize = 1_000;

/// The longest file that is read: at 200 octets a line, five million entries.
const FILE_OCTETS_MAX: u64 = 1 << 30;

/// Where they are kept, and with whose keys.
#[derive(Debug, Clone)]
pub(super) struct Place {
    path: PathBuf,
    keys: PathBuf,
}

impl Place {
    /// Beside the journal in `audit`, under the keys of that folder.
    pub(super) fn new(audit: &Path, keys: &Path) -> Place {
        Place { path: audit.with_extension("originals"), keys: keys.to_owned() }
    }
}

/// Fills `originals` from the file, where there is one.
pub(super) fn load(place: &Place, originals: &mut Originals) -> Result<(), Failure> {
    let path = &place.path;
    let failure = |error: std::io::Error| {
        Failure(format!(
            "{} cannot be read: {error}; make it readable or remove it",
            path.display()
        ))
    };
    let mut octets = Vec::new();
    match std::fs::File::open(path) {
        Ok(file) => file.take(FILE_OCTETS_MAX).read_to_end(&mut octets).map_err(failure)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failure(error)),
    };
    if keys::is_sealed(&octets) {
        match keys::open_file(&place.keys, path, &octets)? {
            Some(content) => octets = content,
            None => {
                let path = path.display();
                tracing::warn!(%path, "its key is gone: no message is known by its message_id");
                return Ok(());
            }
        }
    }
    for (number, line) in (1..).zip(String::from_utf8_lossy(&octets).lines()) {
        match read(line) {
            Some((smsc, id, original)) => _ = originals.remember(smsc, &id, original),
            None => {
                let path = path.display();
                tracing::warn!(%path, line = number, "stands for no message; passed over");
            }
        }
    }
    Ok(())
}

fn read(line: &str) -> Option<(u64, Vec<u8>, Original)> {
    let mut fields = line.split('\t');
    let mut field = || fields.next();
    let smsc = u64::from_str_radix(field()?, 16).ok()?;
    let provider = u64::from_str_radix(field()?, 16).ok()?;
    let (id, source) = (octets(field()?)?, octets(field()?)?);
    let recipient = match field()? {
        "-" => None,
        digits => Some(Msisdn::from_digits(digits.as_bytes())?),
    };
    let mut original = Original::new(provider, &source, recipient)?;
    original.data_coding = field()?.parse().ok()?;
    original.esm_class = field()?.parse().ok()?;
    field().is_none().then_some((smsc, id, original))
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = hex.as_bytes().as_chunks::<2>();
    let octet = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    odd.is_empty().then(|| pairs.iter().map(octet).collect())?
}

/// Writes all of them, in place of what the file held. `now_us` chooses the key.
pub(super) fn save(place: &Place, knowledge: &Knowledge, now_us: u64) -> std::io::Result<()> {
    let mut out = Vec::new();
    let mut from = 0;
    loop {
        let page = knowledge.originals().page(from, PAGE_ENTRIES);
        let Some(page) = page else { break };
        from += PAGE_ENTRIES;
        for (smsc, id, one) in page {
            let to = one.recipient.map_or("-".to_owned(), |to| to.unmasked());
            let (provider, id, source) = (one.provider, hex(&id), hex(one.source()));
            let (data_coding, esm_class) = (one.data_coding, one.esm_class);
            writeln!(
                out,
                "{smsc:x}\t{provider:x}\t{id}\t{source}\t{to}\t{data_coding}\t{esm_class}"
            )?;
        }
    }
    let sealed = keys::seal_file(&place.keys, out, now_us).map_err(std::io::Error::other)?;
    let new = place.path.with_extension("originals.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&sealed)?;
    file.sync_all()?;
    std::fs::rename(new, &place.path)
}

/// Writes the file from time to time until the proxy drains.
pub(super) async fn watch(shared: Arc<Shared>, place: Place) {
    let mut written_at = shared.in_force.now().knowledge.originals().changes();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shared.drain.cancelled() => return,
        }
        let changes = shared.in_force.now().knowledge.originals().changes();
        if changes == written_at {
            continue;
        }
        written_at = changes;
        let (shared, place) = (shared.clone(), place.clone());
        let saved = tokio::task::spawn_blocking(move || {
            save(&place, &shared.in_force.now().knowledge, shared.clock.now().wall_us)
        });
        let saved = saved.await;
        if let Ok(Err(error)) = saved {
            tracing::error!(%error, "after a restart no message is known by its message_id");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Modes;
    use crate::session::Texts;

    fn knowledge() -> Knowledge {
        let registry = crate::registry::parse("", "registry.toml").unwrap();
        let modes = Modes::default();
        let reader = crate::content::Reader::built_in().unwrap();
        let texts = Texts::new(reader, Default::default(), Vec::new(), &modes);
        Knowledge::new(registry, texts, modes)
    }

    #[test]
    fn what_ids_stand_for_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(&folder.path().join("audit"), &folder.path().join("keys"));
        let (before, after) = (knowledge(), knowledge());
        load(&place, &mut before.originals()).unwrap();
        let originals: Vec<_> = (0..2_500_u64)
            .map(|at| {
                let to = Msisdn::new(8_613_800_138_000 + at).filter(|_| at % 2 == 0);
                let mut one = Original::new(at % 7, b"106900001234", to).unwrap();
                (one.data_coding, one.esm_class) = (8, 0x40);
                (at % 3, format!("id\t{at}").into_bytes(), one)
            })
            .collect();
        for (smsc, id, one) in &originals {
            assert!(before.originals().remember(*smsc, id, *one));
        }
        save(&place, &before, 1_795_651_200_000_000).unwrap();
        let written = std::fs::read(&place.path).unwrap();
        assert!(!written.windows(5).any(|five| five == b"13800"), "no number is written in clear");
        load(&place, &mut after.originals()).unwrap();
        let of = |one: &mut Originals| {
            one.entries().map(|(smsc, id, one)| (smsc, id.to_vec(), *one)).collect::<Vec<_>>()
        };
        assert_eq!(of(&mut after.originals()), originals);
    }
}
