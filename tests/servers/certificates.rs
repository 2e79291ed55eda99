//! Authorities and certificates, made by openssl.

use std::path::Path;
use std::process::Command;

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {said}");
}

/// An authority `NAME.pem` with its key `NAME.key`.
pub fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!("req -x509 {KEY} -keyout {name}.key -out {name}.pem -subj /CN={name} -days 90"),
    );
}

/// A certificate `NAME.pem` of that authority with its key `NAME.key`, whose subject is NAME, for those names
/// as openssl writes them: `DNS:localhost,IP:127.0.0.1`.
pub fn certificate(folder: &Path, authority: &str, name: &str, alternatives: &str) {
    let extensions = format!("subjectAltName={alternatives}\n");
    std::fs::write(folder.join("extensions"), extensions).expect("a folder to write in");
    openssl(folder, &format!("req -new {KEY} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial \
             -days 60 -extfile extensions -out {name}.pem"
        ),
    );
}
