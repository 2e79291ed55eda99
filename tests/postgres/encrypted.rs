//! Who is believed, and who is let in.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use consentry::postgres::{Fault, Server as Database};

use crate::servers::certificates::{authority, certificate};
use crate::servers::{Server, Tls, shared};
use crate::{connect, one};

const HBA: &str = "hostssl all certified 127.0.0.1/32 cert\n\
                   hostssl all guarded 127.0.0.1/32 scram-sha-256\n\
                   hostssl all guest 127.0.0.1/32 trust";

/// A server that speaks TLS as `localhost`, and the folder of the files that it and these tests have.
fn server() -> Option<&'static (Server, tempfile::TempDir)> {
    static SERVER: OnceLock<Option<(Server, tempfile::TempDir)>> = OnceLock::new();
    let made = SERVER.get_or_init(|| {
        let files = tempfile::tempdir().expect("a temporary folder");
        let folder = files.path();
        authority(folder, "ca");
        authority(folder, "other");
        certificate(folder, "ca", "server", "DNS:localhost");
        certificate(folder, "ca", "certified", "DNS:nobody");
        // The same name, of an authority that the server does not know.
        std::fs::create_dir(folder.join("false")).expect("a folder");
        for name in ["other.pem", "other.key"] {
            std::fs::copy(folder.join(name), folder.join("false").join(name)).expect("copied");
        }
        certificate(&folder.join("false"), "other", "certified", "DNS:nobody");
        let tls = Tls { folder, certificate: "server", authority: "ca", hba: HBA };
        let server = Server::start_tls(&tls)?;
        server.query(
            "CREATE ROLE guest LOGIN; CREATE ROLE certified LOGIN; \
             CREATE ROLE guarded LOGIN PASSWORD 'hunter2 & co'",
        );
        Some((server, files))
    });
    made.as_ref()
}

/// A URL of `user` at `host`; `{}` in what follows stands for the folder of the files.
fn url(user: &str, host: &str, query: &str) -> Option<String> {
    let (server, files) = server()?;
    let folder = files.path().display().to_string();
    let port = server.address().port();
    Some(format!("postgres://{user}@{host}:{port}/postgres?{}", query.replace("{}", &folder)))
}

#[tokio::test]
async fn each_sslmode_believes_whom_it_says_it_does() {
    const CA: &str = "sslrootcert={}/ca.pem";
    const OTHER: &str = "sslrootcert={}/other.pem";
    const OWN: &str = "sslcert={}/certified.pem&sslkey={}/certified.key";
    const FALSE: &str = "sslcert={}/false/certified.pem&sslkey={}/false/certified.key";
    for (user, host, query, expected) in [
        ("guest", "localhost", format!("sslmode=verify-full&{CA}"), Ok("true")),
        ("guest", "127.0.0.1", format!("sslmode=verify-full&{CA}"), Err("another name")),
        ("guest", "localhost", format!("sslmode=verify-full&{OTHER}"), Err("no authority")),
        ("guest", "127.0.0.1", format!("sslmode=verify-ca&{CA}"), Ok("true")),
        ("guest", "127.0.0.1", format!("sslmode=verify-ca&{OTHER}"), Err("no authority")),
        ("guest", "127.0.0.1", "sslmode=require".to_owned(), Ok("true")),
        ("guest", "127.0.0.1", format!("sslmode=require&{CA}"), Ok("true")),
        ("guest", "127.0.0.1", format!("sslmode=require&{OTHER}"), Err("no authority")),
        ("guest", "127.0.0.1", "sslmode=prefer".to_owned(), Ok("true")),
        ("guest", "127.0.0.1", String::new(), Ok("true")),
        ("guest", "127.0.0.1", "sslmode=disable".to_owned(), Err("refuses the user")),
        ("consentry", "127.0.0.1", "sslmode=disable".to_owned(), Ok("false")),
        ("certified", "localhost", format!("sslmode=verify-full&{CA}&{OWN}"), Ok("true")),
        ("certified", "localhost", format!("sslmode=verify-full&{CA}"), Err("refuses the user")),
        ("certified", "localhost", format!("sslmode=verify-full&{CA}&{FALSE}"), Err("TLS: ")),
        ("guest", "localhost", format!("sslmode=verify-full&{CA}&{OWN}"), Ok("true")),
        ("guarded:hunter2%20%26%20co", "127.0.0.1", "sslmode=require".to_owned(), Ok("true")),
        ("guarded:hunter22", "127.0.0.1", "sslmode=require".to_owned(), Err("refuses the user")),
        ("guarded", "127.0.0.1", "sslmode=require".to_owned(), Err("password")),
        (
            "guarded:hunter2%20%26%20co",
            "127.0.0.1",
            "sslmode=require&channel_binding=require".to_owned(),
            Ok("true"),
        ),
    ] {
        let Some(url) = url(user, host, &query) else { return };
        match (connect(&url).await, expected) {
            (Ok(connection), Ok(expected)) => {
                let sql = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
                assert_eq!(one(&connection, sql).await, expected, "{user} {host} {query}");
            }
            (Err(fault), Err(expected)) => {
                let said = fault.to_string();
                assert!(said.contains(expected), "{user} {host} {query}: {said}");
                assert!(said.starts_with(host), "it names the host: {said}");
            }
            (Ok(_), Err(_)) => panic!("{user} {host} {query}: let in"),
            (Err(fault), Ok(_)) => panic!("{user} {host} {query}: {fault}"),
        }
    }
}

#[tokio::test]
async fn a_server_without_tls_is_taken_only_where_that_is_said() {
    let Some(server) = shared() else { return };
    let authority = self::server().map(|(_, files)| files.path().join("ca.pem"));
    let authority = authority.expect("there is PostgreSQL");
    for (query, expected) in [
        ("sslmode=prefer".to_owned(), Ok("false")),
        ("sslmode=disable".to_owned(), Ok("false")),
        ("sslmode=require".to_owned(), Err("does not support TLS")),
        (
            format!("sslmode=verify-full&sslrootcert={}", authority.display()),
            Err("does not support TLS"),
        ),
    ] {
        let url = format!("{}?{query}", server.url());
        match (connect(&url).await, expected) {
            (Ok(connection), Ok(expected)) => {
                let sql = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
                assert_eq!(one(&connection, sql).await, expected, "{query}");
            }
            (Err(fault), Err(expected)) => {
                assert!(fault.to_string().contains(expected), "{query}: {fault}");
            }
            (connected, _) => panic!("{query}: {connected:?}"),
        }
    }
}

fn written(path: &Path, text: &str, mode: u32) -> PathBuf {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("chmod");
    path.to_owned()
}

#[tokio::test]
async fn a_password_is_read_from_its_file_for_each_connection() {
    let Some(url) = url("guarded", "127.0.0.1", "sslmode=require") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("password");
    for (text, mode, expected) in [
        ("hunter2\nhunter2\n", 0o600, "one line"),
        ("", 0o600, "one line"),
        (&"p".repeat(1025), 0o600, "one line"),
        ("hunter2\n", 0o644, "chmod 600"),
    ] {
        let file = written(&file, text, mode);
        let fault = Database::new(url.parse().expect("a URL"), Some(file)).expect_err("refused");
        let said = fault.to_string();
        assert!(matches!(fault, Fault::Setting(_)) && said.contains(expected), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    written(&file, "hunter2 & co\n", 0o600);
    let database = Database::new(url.parse().expect("a URL"), Some(file.clone())).expect("good");
    database.connect().await.expect("let in");
    written(&file, "hunter3\r\n", 0o640);
    let said = database.connect().await.expect_err("refused").to_string();
    assert!(said.contains("refuses the user") && !said.contains("hunter3"), "{said}");
    written(&file, &"p".repeat(1024), 0o600);
    assert!(matches!(database.connect().await, Err(Fault::Down(_))), "as long as may be");
    std::fs::remove_file(&file).expect("removed");
    assert!(matches!(database.connect().await, Err(Fault::Setting(_))));

    written(&file, "hunter2 & co\n", 0o600);
    let two = url.replace("guarded@", "guarded:hunter2@").parse().expect("a URL");
    let fault = Database::new(two, Some(file)).expect_err("two passwords").to_string();
    assert!(fault.contains("one of the two") && !fault.contains("hunter2"), "{fault}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    authority(folder, "ca");
    authority(folder, "other");
    written(&folder.join("none.pem"), "", 0o600);
    std::fs::copy(folder.join("ca.key"), folder.join("open.key")).expect("copied");
    written(&folder.join("open.key"), "", 0o644);
    let own = |certificate: &str, key: &str| format!("&sslcert={certificate}&sslkey={key}");
    for (query, file, says) in [
        ("sslmode=verify-full&sslrootcert=absent.pem".to_owned(), "absent.pem", "cannot be read"),
        ("sslmode=verify-ca&sslrootcert=none.pem".to_owned(), "none.pem", "holds no certificate"),
        (format!("sslmode=require{}", own("ca.pem", "open.key")), "open.key", "chmod 600"),
        (format!("sslmode=require{}", own("ca.pem", "other.key")), "ca.pem", "of the key"),
        (format!("sslmode=require{}", own("ca.pem", "ca.pem")), "ca.pem", ""),
    ] {
        let url: consentry::postgres::Url =
            format!("postgres://h/db?{query}").parse().expect("a URL");
        let fault = Database::new(url.below(folder), None).expect_err(&query).to_string();
        let path = folder.join(file).display().to_string();
        assert!(fault.starts_with(&path) && fault.contains(says), "{query}: {fault}");
    }
}
