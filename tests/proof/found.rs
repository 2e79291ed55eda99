//! Whatever is changed is found.

use super::*;
use crate::forger::{Segment, put_together, take_apart};
use consentry::audit::proof::{Proof, Prover};
use consentry::audit::verify;

/// Fails unless verifying finds a fault.
fn broken(place: &Place, what: &str) -> consentry::audit::Fault {
    match place.verify() {
        Err(ReadFault::Broken(fault)) => fault,
        other => panic!("{what}: {other:?}"),
    }
}

/// Changes one file, looks, and restores it.
fn with(file: &Path, octets: &[u8], look: impl FnOnce()) {
    let before = std::fs::read(file).expect("read");
    std::fs::write(file, octets).expect("written");
    look();
    std::fs::write(file, before).expect("written");
}

#[test]
fn every_flipped_octet_of_every_file_is_found() {
    let place = small();
    let files = place.segments().into_iter().chain([place.checkpoint_file()]);
    for file in files {
        let sound = std::fs::read(&file).expect("read");
        for at in 0..sound.len() {
            // One bit of each octet, another one at each place.
            let mut flipped = sound.clone();
            flipped[at] ^= 1 << (at % 8);
            // Where signing goes on is no evidence.
            let signed = |octets: &[u8]| {
                let value: serde_json::Value = serde_json::from_slice(octets).ok()?;
                Signed::from_json(&value)
            };
            if file == place.checkpoint_file() && signed(&flipped) == signed(&sound) {
                continue;
            }
            with(&file, &flipped, || {
                let fault = broken(&place, &format!("{} octet {at}", file.display()));
                if file != place.checkpoint_file() {
                    assert_eq!(Some(fault.segment.as_str()), file.file_name().unwrap().to_str());
                }
            });
        }
    }
    place.verify().expect("whole again");
}

#[test]
fn every_dropped_swapped_and_truncated_segment_is_found() {
    let place = small();
    let files = place.segments();
    for (at, file) in files.iter().enumerate() {
        let sound = std::fs::read(file).expect("read");
        for length in (0..sound.len()).step_by(7).chain([sound.len() - 1]) {
            with(file, &sound[..length], || drop(broken(&place, &format!("{at} cut to {length}"))));
        }
        std::fs::remove_file(file).expect("removed");
        broken(&place, &format!("segment {} dropped", at + 1));
        std::fs::write(file, &sound).expect("written");
        for other in &files[at + 1..] {
            let there = std::fs::read(other).expect("read");
            with(file, &there, || {
                with(other, &sound, || drop(broken(&place, &format!("{at} swapped"))));
            });
        }
    }
    place.verify().expect("whole again");
}

/// What a forger may do to a journal, and make all sums and links fit again.
fn forgeries(sound: &[Segment]) -> Vec<(String, Vec<Segment>)> {
    let mut all = Vec::new();
    let mut forge = |what: String, change: &dyn Fn(&mut Vec<Segment>)| {
        let mut forged = sound.to_vec();
        change(&mut forged);
        all.push((what, forged));
    };
    for (s, segment) in sound.iter().enumerate() {
        forge(format!("segment {s} dropped"), &|all| drop(all.remove(s)));
        for (g, group) in segment.groups.iter().enumerate() {
            forge(format!("segment {s} cut to {g} groups"), &|all| all[s].cut(g));
            forge(format!("group {g} of {s} dropped"), &|all| all[s].drop_group(g));
            for (r, record) in group.iter().enumerate() {
                forge(format!("record {r} of {g} of {s} dropped"), &|all| {
                    all[s].groups[g].remove(r);
                });
                forge(format!("record {r} of {g} of {s} doubled"), &|all| {
                    let again = all[s].groups[g][r].clone();
                    all[s].groups[g].insert(r, again);
                });
                if r > 0 {
                    forge(format!("record {r} of {g} of {s} swapped"), &|all| {
                        all[s].groups[g].swap(r - 1, r);
                    });
                }
                // Kind, form, time and body; length and sum are the forger's own affair.
                for at in [2, 3, 8, 15].into_iter().chain(16..record.len()) {
                    forge(format!("octet {at} of record {r} of {g} of {s}"), &|all| {
                        all[s].groups[g][r][at] ^= 1;
                    });
                }
            }
        }
    }
    all
}

#[test]
fn a_forger_without_the_key_is_found_whatever_is_changed() {
    let place = small();
    let sound = take_apart(&place.journal());
    put_together(&sound, &place.journal());
    place.verify().expect("putting together changes nothing");
    let all = forgeries(&sound);
    assert!(all.len() > 1000, "{}", all.len());
    for (what, forged) in all {
        put_together(&forged, &place.journal());
        broken(&place, &what);
    }
    put_together(&sound, &place.journal());
    place.verify().expect("whole again");
}

#[test]
fn a_cut_at_a_group_border_is_found_by_the_checkpoint_beside_it_or_elsewhere() {
    let place = small();
    let newest = Signed::newest(&place.journal()).expect("read").expect("there");
    let sound = take_apart(&place.journal());
    let last = sound.len() - 1;
    for groups in 0..sound[last].groups.len() {
        let place = place.copy();
        let mut cut = sound.clone();
        cut[last].cut(groups);
        if groups == 0 {
            cut.pop();
        }
        put_together(&cut, &place.journal());
        let fault = broken(&place, &format!("{groups} groups left"));
        assert!(fault.what.contains("cut off"), "{fault}");
        let refused = place.try_open().expect_err("refused").to_string();
        assert!(refused.contains("cut off"), "{refused}");
        std::fs::remove_file(place.checkpoint_file()).expect("removed");
        place.verify().expect("nothing is left that could tell");
        let kept = [newest.clone()];
        let elsewhere = place.verify_with(&kept).expect_err("found");
        assert!(elsewhere.to_string().contains("cut off"), "{elsewhere}");
    }
}

#[test]
fn a_killed_writer_leaves_a_journal_that_is_whole_and_is_signed_on() {
    let place = Place::new();
    let journal = place.open();
    append(&journal, 1..4);
    wait_for("the newest stands beside", || place.checkpoint_file().exists());
    append(&journal, 4..9);
    // A copy of a journal that is being written is what a killed process leaves.
    let killed = place.copy();
    journal.close(NOW_US).expect("closed");
    let newest = Signed::newest(&killed.journal()).expect("read").expect("there");
    let file = killed.segments().pop().expect("a segment");
    let sound = std::fs::read(&file).expect("read");
    for length in (128..=sound.len()).step_by(5) {
        let copy = killed.copy();
        let file = copy.segments().pop().expect("a segment");
        std::fs::write(&file, &sound[..length]).expect("written");
        let covered = match verify(&copy.journal()) {
            Ok(_) => true,
            Err(ReadFault::Broken(fault)) => !fault.what.contains("cut off"),
            Err(other) => panic!("{other}"),
        };
        match copy.try_open() {
            Ok(journal) => {
                assert!(covered, "cut to {length}: what is signed and gone is not gone on from");
                append(&journal, 20..22);
                journal.close(NOW_US).expect("closed");
                let verified = copy.verify().expect("whole");
                assert_eq!(verified.signed_through, verified.records);
            }
            Err(fault) => assert!(!covered, "cut to {length}: {fault}"),
        }
    }
    // The checkpoint beside it was lost: it is signed again from its beginning.
    std::fs::remove_file(killed.checkpoint_file()).expect("removed");
    let journal = killed.open();
    append(&journal, 20..22);
    journal.close(NOW_US).expect("closed");
    let verified = killed.verify().expect("whole");
    assert_eq!(verified.signed_through, verified.records);
    let again = checkpoints(&killed.journal());
    assert!(again.iter().any(|one| one.checkpoint.end() >= newest.checkpoint.end()));
}

#[test]
fn a_journal_of_before_checkpoints_verifies_and_is_signed_from_then_on() {
    let place = Place::new();
    SigningKey::open_or_create(&place.keys()).expect("a key");
    for _ in 0..2 {
        let options = Options::new(Durability::Written);
        let (journal, _) = Journal::open(&place.journal(), options, NOW_US).expect("opens");
        append(&journal, 1..4);
        journal.close(NOW_US).expect("closed");
    }
    let verified = place.verify().expect("whole");
    assert_eq!((verified.checkpoints, verified.signed_through), (0, 0));
    let journal = place.open();
    append(&journal, 4..5);
    journal.close(NOW_US).expect("closed");
    let journal = place.open();
    wait_for("what is old is signed", || checkpoints(&place.journal()).len() >= 3);
    journal.close(NOW_US).expect("closed");
    let verified = place.verify().expect("whole");
    assert_eq!(verified.signed_through, verified.records);
    let whole: Vec<u64> =
        checkpoints(&place.journal()).iter().map(|one| one.checkpoint.segment).collect();
    assert!([1, 2, 3].iter().all(|segment| whole.contains(segment)), "{whole:?}");
}

/// What an earlier version wrote is refused by one error that says what to do.
#[test]
fn a_journal_of_format_1_is_refused() {
    let place = small();
    let check = |what: &str, says: String| {
        assert!(says.contains("format 1") && says.contains("verify"), "{what}: {says}");
        assert!(!says.contains('\n'), "{what}: {says}");
    };
    let said = |place: &Place| place.verify().expect_err("refused").to_string();
    let newest = std::fs::read_to_string(place.checkpoint_file()).expect("read");
    let earlier = newest.replacen("consentry checkpoint 2", "consentry checkpoint 1", 1);
    with(&place.checkpoint_file(), earlier.as_bytes(), || {
        check("checkpoint", said(&place));
        check("opened", place.try_open().expect_err("refused").to_string());
    });
    for file in place.segments() {
        let mut octets = std::fs::read(&file).expect("read");
        octets[8] = 1;
        let sum = crc32c::crc32c(&octets[..124]).to_le_bytes();
        octets[124..128].copy_from_slice(&sum);
        with(&file, &octets, || {
            check("verified", said(&place));
            check("opened", place.try_open().expect_err("refused").to_string());
        });
    }
    let mut proof = Prover::new(&place.journal()).prove(3).expect("proved").to_json();
    proof["consentry_proof"] = 1.into();
    let says = Proof::from_json(&proof).expect_err("refused").to_string();
    assert!(says.contains("format 1") && says.contains("version that made it"), "{says}");
}

#[test]
fn another_key_is_no_key() {
    let place = small();
    let other = Place::new();
    let key = SigningKey::open_or_create(&other.keys()).expect("a key").public();
    let keys = [key];
    let against = Against { keys: &keys, checkpoints: &[] };
    let fault = verify_against(&place.journal(), &against).expect_err("another key");
    assert!(fault.to_string().contains("is not signed by this key"), "{fault}");
    let keys = [key, place.key()];
    let against = Against { keys: &keys, checkpoints: &[] };
    verify_against(&place.journal(), &against).expect("one of several");
}

#[test]
fn random_changes_of_a_larger_journal_are_found() {
    let place = Place::new();
    let mut batch = 1..1;
    for _ in 0..4 {
        let journal = place.open();
        for _ in 0..3 {
            batch = batch.end..batch.end + 700;
            append(&journal, batch.clone());
            journal.rotate();
        }
        journal.close(NOW_US).expect("closed");
    }
    let records = place.verify().expect("whole").records;
    assert!(records > 8_400 && place.segments().len() >= 12, "{records}");
    let sound = take_apart(&place.journal());
    // A generator of numbers that is good enough to choose with, and the same every time.
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % limit
    };
    for round in 0..24 {
        let mut forged = sound.clone();
        let s = below(forged.len());
        let g = below(forged[s].groups.len());
        let count = forged[s].groups[g].len();
        let what = match (round % 4, count) {
            (_, 0) | (0, _) => {
                forged.remove(s);
                format!("segment {s} dropped")
            }
            (1, _) => {
                forged[s].groups[g].remove(below(count));
                format!("a record of {g} of {s} dropped")
            }
            (2, 2..) => {
                let r = 1 + below(count - 1);
                forged[s].groups[g].swap(r, r - 1);
                format!("record {r} of {g} of {s} swapped")
            }
            _ => {
                let r = below(count);
                let length = forged[s].groups[g][r].len();
                let at = 8 + below(length - 8);
                forged[s].groups[g][r][at] ^= 1 << below(8);
                format!("octet {at} of record {r} of {g} of {s}")
            }
        };
        put_together(&forged, &place.journal());
        broken(&place, &what);
        put_together(&sound, &place.journal());
        // And without making anything fit again.
        let file = place.segments().remove(s);
        let mut octets = std::fs::read(&file).expect("read");
        let at = below(octets.len());
        octets[at] ^= 1 << below(8);
        with(&file, &octets, || drop(broken(&place, &format!("octet {at} of segment {s}"))));
    }
    place.verify().expect("whole again");
}
