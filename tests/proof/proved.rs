//! One record, proved to somebody who has the public key and nothing else.

use std::process::Command;

use super::*;
use consentry::audit::proof::{Covered, Proof, ProofFault, ProveFault, Prover};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn proofs(place: &Place) -> Vec<Proof> {
    let records = place.verify().expect("whole").records;
    let mut prover = Prover::new(&place.journal());
    (1..=records).map(|record| prover.prove(record).expect("proved")).collect()
}

#[test]
fn every_record_is_proved_and_nothing_but_what_it_is() {
    let place = small();
    let keys = [place.key()];
    let other = Place::new();
    let stranger = [SigningKey::open_or_create(&other.keys()).expect("a key").public()];
    let all = proofs(&place);
    for (at, proof) in all.iter().enumerate() {
        assert_eq!(proof.check(&keys), Ok(()), "record {}", proof.record);
        assert_eq!(proof.check(&stranger), Err(ProofFault::Signature));
        assert_eq!(proof.check(&[]), Err(ProofFault::Signature));
        assert_eq!(Proof::from_json(&proof.to_json()).as_ref(), Ok(proof));
        for octet in 0..proof.octets.len() {
            let mut changed = proof.clone();
            changed.octets[octet] ^= 1;
            assert_eq!(changed.check(&keys), Err(ProofFault::Path));
        }
        for changed in changed_ways(proof) {
            assert_eq!(changed.check(&keys), Err(ProofFault::Path), "record {}", proof.record);
        }
        for number in [proof.record + 1, proof.record.saturating_sub(1), u64::MAX] {
            let moved = Proof { record: number, ..proof.clone() };
            assert!(moved.check(&keys).is_err(), "record {} as {number}", proof.record);
        }
        let mut later = proof.clone();
        later.checkpoint.checkpoint.time_us += 1;
        assert_eq!(later.check(&keys), Err(ProofFault::Signature));
        let next = &all[(at + 1) % all.len()];
        let borrowed = Proof { checkpoint: next.checkpoint.clone(), ..proof.clone() };
        assert_eq!(borrowed.check(&keys).is_ok(), next.checkpoint == proof.checkpoint);
    }
    let mut prover = Prover::new(&place.journal());
    for beyond in [0, all.len() as u64 + 1, u64::MAX] {
        assert!(matches!(prover.prove(beyond), Err(ProveFault::NotThere(_))), "{beyond}");
    }
}

/// A proof with one thing changed of what leads from the record to the root.
fn changed_ways(proof: &Proof) -> Vec<Proof> {
    let mut all = Vec::new();
    let mut change = |change: &dyn Fn(&mut Proof)| {
        let mut changed = proof.clone();
        change(&mut changed);
        all.push(changed);
    };
    for step in 0..proof.path.len() {
        change(&|proof| proof.path[step][step % 32] ^= 1);
        change(&|proof| {
            proof.path.remove(step);
        });
    }
    change(&|proof| proof.path.push([7; 32]));
    for by in [1, 2, 16, u64::MAX] {
        change(&|proof| proof.group = proof.group.wrapping_add(by));
        change(&|proof| proof.groups = proof.groups.wrapping_add(by));
    }
    let Some(covered) = &proof.covered else { return all };
    change(&|proof| proof.covered = None);
    let of = |proof: &mut Proof, change: &dyn Fn(&mut Covered)| {
        change(proof.covered.as_mut().expect("covered"));
    };
    for octet in 0..64 {
        change(&|proof| of(proof, &|covered| covered.link[octet] ^= 1));
        change(&|proof| of(proof, &|covered| covered.before[octet / 2] ^= 1));
    }
    for step in 0..covered.path.len() {
        change(&|proof| of(proof, &|covered| covered.path[step][step % 32] ^= 1));
        change(&|proof| {
            of(proof, &|covered| {
                covered.path.remove(step);
            });
        });
    }
    change(&|proof| of(proof, &|covered| covered.path.push([7; 32])));
    all
}

/// What `docs/records.md` says of a proof, followed with SHA-256 and nothing of the program.
#[test]
fn a_proof_is_followed_by_hand() {
    let octets = |value: &Value| {
        let digits = value.as_str().expect("digits");
        let at = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal");
        (0..digits.len()).step_by(2).map(at).collect::<Vec<u8>>()
    };
    let number =
        |octets: &[u8]| octets.iter().rev().fold(0, |sum, octet| sum << 8 | u64::from(*octet));
    let sha256 = |parts: &[&[u8]]| Sha256::digest(parts.concat()).to_vec();
    let climb = |leaf: Vec<u8>, index: u64, size: u64, path: &Value| {
        let mut path = path.as_array().expect("hashes").iter().map(octets);
        let (mut hash, mut at, mut last) = (leaf, index, size - 1);
        while last > 0 {
            let mut children = vec![1];
            for child in at / 16 * 16..=(at / 16 * 16 + 15).min(last) {
                children.extend(if child == at { hash.clone() } else { path.next().expect("one") });
            }
            (hash, at, last) = (sha256(&[&children]), at / 16, last / 16);
        }
        assert_eq!(path.next(), None);
        sha256(&[&[2], &size.to_le_bytes(), &hash])
    };
    let place = Place::new();
    let journal = place.open();
    for batch in (0..40).map(|n| n * 50) {
        append(&journal, batch..batch + 1 + batch / 4);
    }
    journal.close(NOW_US).expect("closed");
    let all = proofs(&place);
    assert!(all.len() > 1000 && all.iter().any(|proof| proof.groups > 20));
    for proof in all {
        let json = proof.to_json();
        let record = octets(&json["octets"]);
        let leaf = sha256(&[&[0], &record]);
        let link = match json.get("covered") {
            None => record,
            Some(covered) => {
                let (link, before) = (octets(&covered["link"]), octets(&covered["before"]));
                let (first, count) = (number(&link[16..24]), number(&link[24..28]));
                let root = climb(leaf, proof.record - first, count, &covered["path"]);
                let chain = sha256(&[&[3], &before, &root, &link[0..4], &link[8..32]]);
                assert_eq!(chain, link[32..64], "record {}", proof.record);
                link
            }
        };
        let (group, groups) = (json["group"].as_u64().unwrap(), json["groups"].as_u64().unwrap());
        let root = climb(sha256(&[&[0], &link]), group, groups, &json["path"]);
        let digits: String = root.iter().map(|octet| format!("{octet:02x}")).collect();
        let note = json["checkpoint"]["note"].as_str().unwrap();
        assert!(note.contains(&format!("\nroot {digits}\n")), "record {}", proof.record);
    }
}

#[test]
fn the_proof_of_a_record_is_the_same_whenever_it_is_asked_for() {
    let place = Place::new();
    let journal = place.open();
    append(&journal, 1..4);
    wait_for("a checkpoint", || !checkpoints(&place.journal()).is_empty());
    let mut prover = Prover::new(&place.journal());
    let early = prover.prove(3).expect("proved");
    append(&journal, 4..300);
    wait_for("another", || checkpoints(&place.journal()).len() >= 2);
    assert_eq!(prover.prove(250).expect("proved").check(&[place.key()]), Ok(()));
    assert_eq!(prover.prove(3).expect("proved"), early);
    journal.close(NOW_US).expect("closed");
    place.open().close(NOW_US).expect("closed");
    assert_eq!(Prover::new(&place.journal()).prove(3).expect("proved"), early);
}

#[test]
fn what_nothing_signs_is_not_proved_and_what_was_changed_neither() {
    let place = Place::new();
    let (journal, _) =
        Journal::open(&place.journal(), Options::new(Durability::Written), NOW_US).expect("opens");
    append(&journal, 1..4);
    let fault = Prover::new(&place.journal()).prove(2).expect_err("not signed");
    assert!(matches!(fault, ProveFault::NotSigned(2)), "{fault}");
    journal.close(NOW_US).expect("closed");

    let place = small();
    let mut forged = crate::forger::take_apart(&place.journal());
    forged[1].groups[0][1][40] ^= 1;
    crate::forger::put_together(&forged, &place.journal());
    let number = first(&place.segments()[1]) + 2;
    let fault = Prover::new(&place.journal()).prove(number).expect_err("changed");
    assert!(matches!(fault, ProveFault::Broken(_)), "{fault}");
}

#[test]
fn a_large_segment_proves_its_records_at_every_size_that_was_signed() {
    let place = Place::new();
    let journal = place.open();
    for batch in [1..257, 257..900, 900..901, 901..2500] {
        let before = checkpoints(&place.journal()).len();
        append(&journal, batch);
        wait_for("a checkpoint", || checkpoints(&place.journal()).len() > before);
    }
    journal.close(NOW_US).expect("closed");
    let keys = [place.key()];
    let mut prover = Prover::new(&place.journal());
    let mut sizes = std::collections::BTreeSet::new();
    for record in (1..2505).step_by(31).chain([256, 257, 258, 512, 513, 907, 2504]) {
        let proof = prover.prove(record).expect("proved");
        assert_eq!(proof.check(&keys), Ok(()), "record {record}");
        sizes.insert(proof.checkpoint.checkpoint.size);
    }
    assert!(sizes.len() >= 4, "{sizes:?}");
}

fn consentry(args: &[&str]) -> (Option<i32>, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_consentry")).args(args).output().expect("runs");
    let text = |octets| String::from_utf8(octets).expect("UTF-8");
    (out.status.code(), text(out.stdout), text(out.stderr))
}

#[test]
fn the_commands_prove_and_verify_with_the_public_key_alone() {
    let place = small();
    let at = |name: &str| place.folder.path().join(name).display().to_string();
    let journal = at("audit");
    let (code, out, _) = consentry(&["audit", "prove", "--path", &journal, "3", "5"]);
    assert_eq!((code, out.lines().count()), (Some(0), 2));
    std::fs::write(at("proofs"), &out).unwrap();
    let key = at("keys/signing.pub");
    let verify = |file: &str, more: &[&str]| {
        consentry(&[&["audit", "verify", "--proof", file, "--key", &key], more].concat())
    };
    let (code, told, _) = verify(&at("proofs"), &["--json"]);
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len()), (Some(0), 2));
    assert_eq!(lines[0]["record"]["record"], 3);
    assert_eq!(lines[0]["record"]["destination"], "861********00");
    let (_, told, _) = verify(&at("proofs"), &["--unmask"]);
    assert!(told.starts_with("holds: ") && told.contains("8613800000000"), "{told}");

    let changed = out.replacen("\"record\":5", "\"record\":6", 1);
    assert_ne!(changed, out);
    std::fs::write(at("changed"), changed).unwrap();
    let (code, told, _) = verify(&at("changed"), &["--json"]);
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (code, &lines[0]["holds"], &lines[1]["holds"]),
        (Some(1), &true.into(), &false.into())
    );

    for (what, file) in [("empty", "\n"), ("no JSON", "proof\n")] {
        std::fs::write(at("other"), file).unwrap();
        let (code, out, err) = verify(&at("other"), &[]);
        assert_eq!((code, out.as_str(), err.lines().count()), (Some(2), "", 1), "{what}: {err}");
    }
    assert_eq!(consentry(&["audit", "prove", "--path", &journal, "999"]).0, Some(1));
    let (code, out, _) = consentry(&["audit", "verify", "--path", &journal, "--json"]);
    let whole: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &whole["signed_through"]), (Some(0), &whole["records"]), "the default key");
    std::fs::copy(place.checkpoint_file(), at("kept")).unwrap();
    let args = ["audit", "verify", "--path", &journal, "--checkpoint", &at("kept"), "--key", &key];
    assert_eq!(consentry(&args).0, Some(0));
}

/// What `docs/records.md` tells an inspector to do by hand.
#[test]
fn openssl_checks_the_note_of_a_proof() {
    if Command::new("openssl").arg("version").output().is_err() {
        return eprintln!("openssl is not here: nothing to check with");
    }
    let place = small();
    let at = |name: &str| place.folder.path().join(name).display().to_string();
    let proof = proofs(&place).remove(2).to_json();
    let check = |note: &str| {
        std::fs::write(at("note"), note).unwrap();
        let signature = proof["checkpoint"]["signature"].as_str().unwrap();
        let octets = (0..signature.len()).step_by(2);
        let octets = octets.map(|at| u8::from_str_radix(&signature[at..at + 2], 16).unwrap());
        std::fs::write(at("signature"), octets.collect::<Vec<u8>>()).unwrap();
        let args = [
            "pkeyutl",
            "-verify",
            "-rawin",
            "-pubin",
            "-inkey",
            &at("keys/signing.pub"),
            "-in",
            &at("note"),
            "-sigfile",
            &at("signature"),
        ];
        Command::new("openssl").args(args).output().unwrap().status.success()
    };
    let note = proof["checkpoint"]["note"].as_str().unwrap();
    assert!(check(note));
    assert!(!check(&note.replace("size", "Size")));
}

/// A journal with numbers encrypted: start, keys, link, two verdicts, link.
fn sealed() -> Place {
    let place = Place::new();
    let mut options = Options::new(Durability::Written);
    options.sealing = Some(Sealing { keys: place.keys(), auditors: Vec::new(), content: false });
    options.notary = Some(NotaryOptions {
        key: SigningKey::open_or_create(&place.keys()).expect("a key"),
        records: 1,
        every: Duration::from_secs(3600),
        now_us: Box::new(|| NOW_US),
        on_fault: Box::new(|why| eprintln!("the notary: {why}")),
    });
    let (journal, _) = Journal::open(&place.journal(), options, NOW_US).expect("opens");
    append(&journal, 1..3);
    journal.close(NOW_US + 9).expect("closed");
    place
}

#[test]
fn a_proof_shows_numbers_only_with_the_key_of_its_record() {
    let place = sealed();
    let public = [place.key()];
    let keys = KeyRing::open(&place.keys()).expect("keys");
    let whole = b"8613800000000".as_slice();
    let number = |proof: &Proof| match proof.kept().record() {
        Record::Verdict(verdict) => Some(verdict.destination.raw.to_vec()),
        _ => None,
    };
    let verdicts: Vec<Proof> =
        proofs(&place).into_iter().filter(|proof| number(proof).is_some()).collect();
    assert_eq!(verdicts.len(), 2);
    for (proof, other) in verdicts.iter().zip(verdicts.iter().rev()) {
        assert_eq!(proof.check(&public), Ok(()));
        assert_eq!((number(proof), proof.kept().gone.is_some()), (Some(Vec::new()), true));
        let in_clear = proof.octets.windows(whole.len()).any(|octets| octets == whole);
        assert!(!in_clear, "the octets that are proved are those of the journal");
        let disclosed = proof.clone().disclose(&place.journal(), &keys).expect("a key");
        assert_eq!((disclosed.check(&public), number(&disclosed)), (Ok(()), Some(whole.to_vec())));
        assert_eq!(Proof::from_json(&disclosed.to_json()).as_ref(), Ok(&disclosed));
        let wrong = Proof { key: disclosed.key.clone(), ..other.clone() };
        assert_ne!(number(&wrong), Some(whole.to_vec()), "the key of another record");
    }
    let at = |name: &str| place.folder.path().join(name).display().to_string();
    let record = verdicts[0].record.to_string();
    for (more, shown) in [(&[][..], false), (&["--disclose"], true)] {
        let prove = ["audit", "prove", "--path", &at("audit"), &record];
        let (code, out, err) = consentry(&[&prove, more].concat());
        assert_eq!(code, Some(0), "{err}");
        std::fs::write(at("proof"), out).unwrap();
        let key = at("keys/signing.pub");
        let verify = ["audit", "verify", "--proof", &at("proof"), "--key", &key, "--unmask"];
        let (code, out, _) = consentry(&verify);
        assert_eq!((code, out.contains("8613800000000")), (Some(0), shown), "{more:?}: {out}");
    }
}
