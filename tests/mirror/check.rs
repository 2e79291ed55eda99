//! What `check` says of mirrors.

use std::process::Command;

fn check(mirror: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listen = "[[listen]]\naddress = \"127.0.0.1:0\"\nsmsc = [\"127.0.0.1:1\"]\n";
    let file = folder.path().join("consentry.toml");
    std::fs::write(&file, format!("{listen}{mirror}")).expect("written");
    std::fs::write(folder.path().join("registry.toml"), "").expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_consentry"))
        .args(["check", "-c"])
        .arg(&file)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("hunter2"), "no password: {said}");
    (output.status.code(), said.into_owned())
}

#[test]
fn mirrors_are_shown_without_passwords_and_what_cannot_be_begun_is_refused() {
    let (code, said) = check(
        "[[mirror]]\nname = \"warehouse\"\nkind = \"postgres\"\nnumbers = \"whole\"\n\
         url = \"postgres://me:hunter2@192.0.2.7/db\"\n",
    );
    assert_eq!(code, Some(0), "{said}");
    for shown in [
        "warehouse              type postgres  table consentry_records  url 192.0.2.7:5432/db  \
         sslmode prefer  password none  numbers whole",
        "[[mirror]] warehouse: numbers whole shows persons' numbers",
        "[[mirror]] warehouse: records leave this machine unencrypted",
    ] {
        assert!(said.contains(shown), "{shown} in {said}");
    }
    let (code, said) = check(
        "[[mirror]]\nname = \"w\"\nkind = \"postgres\"\n\
         url = \"postgres://me:hunter2@192.0.2.7/db?sslmode=verify-full&sslrootcert=no.pem\"\n",
    );
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("[[mirror]] w: ") && said.contains("no.pem cannot be read"), "{said}");
    let (code, said) = check(
        "[[mirror]]\nname = \"w\"\nkind = \"postgres\"\n\
         url = \"postgres://me:hunter2@192.0.2.7/db?sslmode=require\"\n",
    );
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("[[mirror]] w: url does not say sslmode=verify-full"), "{said}");
    let (code, said) = check(
        "[cluster]\nnode = \"proxy-1\"\nnodes = 3\n[consent]\noutbox = \"out\"\n\
         url = \"postgres://me:hunter2@192.0.2.7/db\"\n",
    );
    assert_eq!(code, Some(0), "{said}");
    for shown in [
        "cluster.node           proxy-1",
        "consent.url            192.0.2.7:5432/db",
        "consent.sslmode        prefer",
        "consent.staleness      10s",
        "[consent] url does not say sslmode=verify-full",
    ] {
        assert!(said.contains(shown), "{shown} in {said}");
    }
    let kafka =
        "[[mirror]]\nname = \"s\"\nkind = \"kafka\"\nbrokers = [\"127.0.0.1:1\"]\ntopic = \"t\"\n";
    let (code, said) = check(kafka);
    if cfg!(feature = "kafka") {
        assert_eq!(code, Some(0), "{said}");
    } else {
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("build with --features kafka"), "{said}");
    }
}
