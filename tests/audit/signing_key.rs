//! The key that signs: made once, kept to its owner, and as openssl knows it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use consentry::audit::keys::{PublicKey, SigningKey};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

fn opened(folder: &Path) -> SigningKey {
    SigningKey::open_or_create(folder).expect("the key opens")
}

#[test]
fn a_key_is_made_once_and_for_its_owner_alone() {
    let place = tempfile::tempdir().expect("a directory");
    let folder = place.path().join("state/keys");
    let made = opened(&folder).public();
    assert_eq!(opened(&folder).public(), made);
    let modes = ["", "signing.key", "signing.pub"].map(|name| mode(&folder.join(name)));
    assert_eq!(modes, [0o700, 0o600, 0o644]);
    assert_eq!(std::fs::read_dir(&folder).expect("readable").count(), 2, "no draft is left");
    std::fs::remove_file(folder.join("signing.pub")).expect("removed");
    assert_eq!(opened(&folder).public(), made);
    assert_eq!(PublicKey::read(&PublicKey::file(&folder)).expect("readable"), made);
    let other = opened(&place.path().join("other"));
    assert_ne!(other.public().id(), made.id());
}

#[test]
fn a_signature_holds_for_its_key_and_octets_alone() {
    let place = tempfile::tempdir().expect("a directory");
    let (key, other) = (opened(&place.path().join("a")), opened(&place.path().join("b")));
    let signature = key.sign(b"octets");
    assert!(key.public().verifies(b"octets", &signature));
    assert!(!key.public().verifies(b"octetS", &signature));
    assert!(!other.public().verifies(b"octets", &signature));
    assert!(!key.public().verifies(b"octets", &signature[..63]));
    for at in 0..signature.len() {
        let mut flipped = signature;
        flipped[at] ^= 1;
        assert!(!key.public().verifies(b"octets", &flipped), "octet {at}");
    }
}

#[test]
fn what_is_no_key_is_refused_and_says_which_file_and_why() {
    let spoil: [(&str, fn(&Path), &str); 6] = [
        ("empty", |keys| std::fs::write(keys.join("signing.key"), "").unwrap(), "put it back"),
        (
            "cut",
            |keys| {
                let text = std::fs::read_to_string(keys.join("signing.key")).unwrap();
                std::fs::write(keys.join("signing.key"), &text[..60]).unwrap();
            },
            "signing.key: is no ed25519 private key",
        ),
        (
            "open to others",
            |keys| {
                let open = std::fs::Permissions::from_mode(0o640);
                std::fs::set_permissions(keys.join("signing.key"), open).unwrap();
            },
            "signing.key: has mode 640, others may read it; run chmod 600 on it",
        ),
        (
            "another's",
            |keys| {
                SigningKey::open_or_create(&keys.join("other")).unwrap();
                std::fs::copy(keys.join("other/signing.pub"), keys.join("signing.pub")).unwrap();
            },
            "signing.pub: is not the public key of signing.key",
        ),
        (
            "lost",
            |keys| std::fs::remove_file(keys.join("signing.key")).unwrap(),
            "signing.pub: stands without its private key",
        ),
        (
            "long",
            |keys| std::fs::write(keys.join("signing.pub"), vec![b'-'; 20_000]).unwrap(),
            "signing.pub: is longer than any key",
        ),
    ];
    for (what, spoil, says) in spoil {
        let place = tempfile::tempdir().expect("a directory");
        opened(place.path());
        spoil(place.path());
        let fault = SigningKey::open_or_create(place.path()).expect_err(what).to_string();
        assert!(fault.contains(says), "{what}: {fault}");
    }
}

#[test]
fn openssl_reads_the_key_and_checks_its_signature() {
    if Command::new("openssl").arg("version").output().is_err() {
        return eprintln!("openssl is not here: nothing to check with");
    }
    let place = tempfile::tempdir().expect("a directory");
    let key = opened(place.path());
    let at = |name: &str| place.path().join(name).display().to_string();
    std::fs::write(at("octets"), b"what is signed").unwrap();
    std::fs::write(at("signature"), key.sign(b"what is signed")).unwrap();
    let run = |args: &[&str]| Command::new("openssl").args(args).output().unwrap();
    let verify = [
        "pkeyutl",
        "-verify",
        "-pubin",
        "-rawin",
        "-inkey",
        &at("signing.pub"),
        "-in",
        &at("octets"),
        "-sigfile",
        &at("signature"),
    ];
    assert!(run(&verify).status.success());
    let read = run(&["pkey", "-in", &at("signing.key"), "-pubout"]);
    assert_eq!(String::from_utf8(read.stdout).unwrap(), key.public().to_pem());
    std::fs::write(at("octets"), b"what is not signed").unwrap();
    assert!(!run(&verify).status.success());
}
