//! What was signed cannot be changed by whoever keeps the journal and has not the key.

mod forger;
mod found;
mod proved;
#[path = "../fixtures/records.rs"]
mod records;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use consentry::audit::keys::{PublicKey, SigningKey};
use consentry::audit::proof::{NotaryOptions, Signed};
use consentry::audit::{
    Against, Durability, Journal, KeyRing, OpenFault, Options, ReadFault, Reader, Record, Records,
    Sealing, VerdictRecord, Verified, verify_against,
};
use records::VERDICT;

const NOW_US: u64 = 1_790_000_000_000_000;

/// A journal, its keys, and nothing else.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().expect("a directory") }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn key(&self) -> PublicKey {
        PublicKey::read(&PublicKey::file(&self.keys())).expect("a key")
    }

    /// Opens it with a notary that signs whatever it finds at each look.
    fn open(&self) -> Journal {
        self.try_open().expect("the journal opens")
    }

    fn try_open(&self) -> Result<Journal, OpenFault> {
        self.open_with(Options::new(Durability::Written))
    }

    fn open_with(&self, mut options: Options) -> Result<Journal, OpenFault> {
        options.notary = Some(NotaryOptions {
            key: SigningKey::open_or_create(&self.keys()).expect("a key"),
            records: 1,
            every: Duration::from_secs(3600),
            now_us: Box::new(|| NOW_US + 9),
            on_fault: Box::new(|why| eprintln!("the notary: {why}")),
        });
        Journal::open(&self.journal(), options, NOW_US).map(|(journal, _)| journal)
    }

    fn verify(&self) -> Result<Verified, ReadFault> {
        self.verify_with(&[])
    }

    fn verify_with(&self, checkpoints: &[Signed]) -> Result<Verified, ReadFault> {
        let keys = [self.key()];
        verify_against(&self.journal(), &Against { keys: &keys, checkpoints })
    }

    /// Another place with the same files.
    fn copy(&self) -> Place {
        let copy = Place::new();
        for folder in ["audit", "keys"] {
            let from = self.folder.path().join(folder);
            std::fs::create_dir(copy.folder.path().join(folder)).expect("made");
            for file in std::fs::read_dir(from).expect("listed") {
                let file = file.expect("an entry");
                let to = copy.folder.path().join(folder).join(file.file_name());
                std::fs::copy(file.path(), to).expect("copied");
            }
        }
        copy
    }

    fn segments(&self) -> Vec<PathBuf> {
        segments(&self.journal())
    }

    fn checkpoint_file(&self) -> PathBuf {
        Signed::file(&self.journal())
    }
}

fn segments(journal: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(journal).expect("listed");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "seg"));
    files.sort();
    files
}

fn verdict(session: u64, sequence_number: u32) -> VerdictRecord<'static> {
    VerdictRecord { session, sequence_number, ..VERDICT }
}

/// Appends verdicts with these sequence numbers as one batch and waits until they are kept.
fn append(journal: &Journal, numbers: std::ops::Range<u32>) {
    let mut records = Records::new();
    for number in numbers {
        records.verdict(NOW_US + u64::from(number), &verdict(1, number));
    }
    let ticket = journal.append(&mut records).expect("taken");
    journal.wait(ticket).expect("kept");
}

/// Checkpoints in the journal, in its order.
fn checkpoints(journal: &Path) -> Vec<Signed> {
    let mut found = Vec::new();
    let mut reader = Reader::open(journal).expect("the journal is there");
    while let Some(entry) = reader.next().expect("the journal is whole") {
        if let Record::Checkpoint(signed) = entry.record() {
            found.push(signed);
        }
    }
    found
}

/// Waits until the notary has signed everything but what it wrote itself; 20 seconds at most.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within 20 seconds");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Two openings, four segments, checkpoints in three of them and one beside the journal.
fn small() -> Place {
    let place = Place::new();
    let path = place.journal();
    let journal = place.open();
    append(&journal, 1..4);
    wait_for("a first checkpoint", || !checkpoints(&path).is_empty());
    append(&journal, 4..6);
    journal.rotate();
    append(&journal, 6..9);
    wait_for("the first segment is signed whole", || {
        let file = segments(&path)[0].clone();
        let whole = std::fs::metadata(file).expect("there").len() > 0;
        whole && checkpoints(&path).iter().any(|one| one.checkpoint.segment == 2)
    });
    journal.rotate();
    append(&journal, 9..11);
    journal.close(NOW_US + 20).expect("closed");
    let journal = place.open();
    append(&journal, 11..14);
    wait_for("the third segment is signed whole", || {
        checkpoints(&path).iter().any(|one| one.checkpoint.segment == 4)
    });
    journal.close(NOW_US + 40).expect("closed");
    assert_eq!(place.segments().len(), 4);
    place
}

#[test]
fn a_journal_is_signed_to_its_end() {
    let place = small();
    is_signed_to_its_end(&place);
    let found = checkpoints(&place.journal());
    let ends: Vec<u64> = found.iter().map(|one| one.checkpoint.end()).collect();
    assert!(ends.is_sorted() && found.iter().all(|one| one.is_by(place.key())), "{ends:?}");
    assert!(found.iter().all(|one| one.checkpoint.time_us == NOW_US + 9));
}

/// Each segment but the last has one checkpoint of its whole size in the journal; the last one is signed beside it.
fn is_signed_to_its_end(place: &Place) {
    let verified = place.verify().expect("whole");
    assert_eq!(verified.signed_through, verified.records, "the stop and its link too");
    let found = checkpoints(&place.journal());
    assert_eq!(verified.checkpoints, found.len() as u64 + 1);
    let firsts: Vec<u64> = place.segments().iter().map(|file| first(file)).collect();
    for (at, pair) in firsts.windows(2).enumerate() {
        let whole =
            |one: &&Signed| (one.checkpoint.first, one.checkpoint.end()) == (pair[0], pair[1]);
        assert_eq!(found.iter().filter(whole).count(), 1, "segment {}", at + 1);
    }
}

#[test]
fn segments_that_were_left_just_before_the_close_are_signed_whole() {
    let place = Place::new();
    let journal = place.open();
    for batch in 0..3 {
        append(&journal, batch * 10..batch * 10 + 2);
        journal.rotate();
    }
    append(&journal, 40..41);
    journal.close(NOW_US + 50).expect("closed");
    assert_eq!(place.segments().len(), 4);
    is_signed_to_its_end(&place);
    // It goes on from there, and nothing is signed twice.
    let journal = place.open();
    append(&journal, 50..51);
    journal.close(NOW_US + 60).expect("closed");
    assert_eq!(place.segments().len(), 5);
    is_signed_to_its_end(&place);
}

#[test]
fn the_end_of_a_journal_begins_no_segment() {
    let place = Place::new();
    let mut options = Options::new(Durability::Written);
    options.segment_octets = 2000;
    let journal = place.open_with(options).expect("opened");
    append(&journal, 1..41);
    assert!(std::fs::metadata(&place.segments()[0]).expect("there").len() > 2000);
    journal.close(NOW_US + 50).expect("closed");
    assert_eq!(place.segments().len(), 1);
    is_signed_to_its_end(&place);
}

fn first(segment: &Path) -> u64 {
    let name = segment.file_name().and_then(|name| name.to_str()).expect("a name");
    name["journal-".len()..name.len() - ".seg".len()].parse().expect("a number")
}

#[test]
fn an_idle_journal_is_not_signed_again() {
    let place = Place::new();
    let journal = place.open();
    append(&journal, 1..2);
    wait_for("a checkpoint", || !checkpoints(&place.journal()).is_empty());
    wait_for("it stands beside", || place.checkpoint_file().exists());
    let before = checkpoints(&place.journal()).len();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(checkpoints(&place.journal()).len(), before, "its own records need no checkpoint");
}
