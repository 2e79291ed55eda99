//! The room `postgres`, with real servers.

#[path = "../servers/mod.rs"]
#[allow(dead_code)] // its other users need more of it
mod servers;

use servers::{Server, url_over};

#[test]
fn a_standby_has_what_its_primary_said_it_has_and_takes_its_place() {
    let Some(mut primary) = Server::start() else { return };
    primary.query("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)");
    let mut standby = primary.standby();
    for number in 2..=20 {
        primary.query(&format!("INSERT INTO kept VALUES ({number})"));
        let there = standby.query("SELECT max(n) FROM kept");
        assert_eq!(there[0][0], Some(number.to_string()), "it can be read when it is committed");
    }
    assert!(standby.try_query("postgres", "INSERT INTO kept VALUES (0)").is_err());

    standby.down();
    primary.alone();
    primary.query("INSERT INTO kept VALUES (21)");
    standby.up();
    primary.set("synchronous_standby_names", "ANY 1 (*)");
    primary.query("INSERT INTO kept VALUES (22)");
    primary.down();
    standby.promote();
    standby.query("INSERT INTO kept VALUES (23)");
    assert_eq!(standby.query("SELECT count(*) FROM kept")[0][0].as_deref(), Some("23"));
    assert!(url_over(&[&primary, &standby], "x").contains(&standby.address().to_string()));
}
