//! Several hosts: the first that is what is asked for, however the others fail.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::servers::{Server, shared, url_over};
use crate::{connect, database, one, until};

#[tokio::test]
async fn the_host_that_is_what_is_asked_for_is_found_before_and_after_a_standby_took_over() {
    let Some(mut primary) = Server::start() else { return };
    primary.query("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)");
    let mut standby = primary.standby();
    for number in 2..=20 {
        primary.query(&format!("INSERT INTO kept VALUES ({number})"));
        let there = standby.query("SELECT max(n) FROM kept");
        assert_eq!(there[0][0], Some(number.to_string()), "it can be read when it is committed");
    }
    let (first, second) = (primary.address(), standby.address());
    for (hosts, attributes, expected) in [
        (format!("{second},{first}"), "read-write", first),
        (format!("{first},{second}"), "read-only", second),
        (format!("{second},{first}"), "any", second),
    ] {
        let url =
            format!("postgres://consentry@{hosts}/postgres?target_session_attrs={attributes}");
        let connection = connect(&url).await.expect(attributes);
        let port = one(&connection, "SELECT current_setting('port')").await;
        assert_eq!(port, expected.port().to_string(), "{attributes}");
    }
    let alone = format!("{}?target_session_attrs=read-write", standby.url());
    let fault = connect(&alone).await.expect_err("a standby").to_string();
    assert_eq!(fault, format!("{second}: database does not allow writes"));
    assert!(standby.try_query("postgres", "INSERT INTO kept VALUES (0)").is_err());

    // One server object over the change of roles.
    let database = database(&url_over(&[&primary, &standby], "postgres"));
    let before = database.connect().await.expect("the primary");
    standby.down();
    primary.alone();
    primary.query("INSERT INTO kept VALUES (21)");
    standby.up();
    primary.set("synchronous_standby_names", "ANY 1 (*)");
    primary.query("INSERT INTO kept VALUES (22)");
    primary.down();
    let fault = database.connect().await.expect_err("no primary").to_string();
    assert!(
        fault.contains(&format!("{first}: Connection refused"))
            && fault.contains(&format!("{second}: database does not allow writes")),
        "each host has its say: {fault}"
    );
    until("the old connection is over", async || before.is_closed()).await;
    standby.promote();
    let after = database.connect().await.expect("the standby is the primary");
    after.batch_execute("INSERT INTO kept VALUES (23)").await.expect("it takes writes");
    assert_eq!(one(&after, "SELECT count(*)::text FROM kept").await, "23");
}

#[tokio::test]
async fn a_host_that_takes_connections_and_says_nothing_holds_nobody_up_for_long() {
    let Some(server) = shared() else { return };
    // The kernel takes connections, and nobody ever answers them.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("an address");
    let url = format!(
        "postgres://consentry@{address},{}/postgres?target_session_attrs=read-write&connect_timeout=1",
        server.address()
    );
    let database = database(&url);
    database.connect().await.expect("the second host");
    // The next connection begins with the host that answered.
    drop(silent);
    let silent = TcpListener::bind(address).expect("the same port");
    silent.set_nonblocking(true).expect("a socket");
    database.connect().await.expect("the second host");
    assert!(silent.accept().is_err(), "nobody came to the silent one");
    let alone = format!("postgres://consentry@{address}/postgres?connect_timeout=1");
    let began = Instant::now();
    let fault = connect(&alone).await.expect_err("nobody answers").to_string();
    assert_eq!(fault, format!("{address}: no answer within 1s"));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_server_names_what_it_refuses() {
    let Some(server) = shared() else { return };
    let absent = connect(&server.url_of("absent")).await.expect_err("no database").to_string();
    let says = "the server has no database of that name: SQLSTATE 3D000";
    assert_eq!(absent, format!("{}: {says}", server.address()));
    let named = format!("{}?application_name=from%20url", server.url());
    for (url, expected) in [(server.url(), "consentry test"), (named, "from url")] {
        let database = database(&url).named("another").named("consentry test");
        let connection = database.connect().await.expect("let in");
        let name = one(&connection, "SELECT current_setting('application_name')").await;
        assert_eq!(name, expected);
    }
}
