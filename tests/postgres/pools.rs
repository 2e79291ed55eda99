//! Connections that are lent.

use std::time::Duration;

use consentry::postgres::Connection;

use crate::servers::{Server, shared};
use crate::{PATIENCE, database, one, until};

async fn id(connection: &Connection) -> String {
    one(connection, "SELECT pg_backend_pid()::text").await
}

#[tokio::test]
async fn what_is_given_back_is_lent_again_and_what_is_dropped_is_closed() {
    let Some(server) = shared() else { return };
    let url = server.database("pools");
    let pool = database(&url).pool(2, Duration::from_millis(50)).expect("a pool");
    let first = pool.get().await.expect("a connection");
    let second = pool.get().await.expect("another");
    let fault = pool.get().await.expect_err("there are two").to_string();
    assert_eq!(fault, "all 2 connections were in use for 50ms");

    let (kept, lost) = (id(&first).await, id(&second).await);
    first.give_back();
    let again = pool.get().await.expect("the first");
    assert_eq!(id(&again).await, kept);
    again.give_back();
    // In the middle of a transaction that holds what others want.
    second.batch_execute("BEGIN; CREATE TABLE held (n int)").await.expect("begun");
    drop(second);
    until("the server has ended it", async || {
        let ids = server.query(&format!("SELECT 1 FROM pg_stat_activity WHERE pid = {lost}"));
        ids.is_empty()
    })
    .await;
    let (first, second) = (pool.get().await.expect("one"), pool.get().await.expect("two"));
    assert_eq!(id(&first).await, kept);
    assert_ne!(id(&second).await, lost);
    assert!(second.batch_execute("SELECT * FROM held").await.is_err(), "it was rolled back");
}

#[tokio::test]
async fn a_pool_outlives_its_server() {
    let Some(mut server) = Server::start() else { return };
    let pool = database(&server.url()).pool(3, PATIENCE).expect("a pool");
    let lent = [pool.get().await.expect("one"), pool.get().await.expect("two")];
    lent.into_iter().for_each(consentry::postgres::Lent::give_back);
    server.down();
    // What was given back is lent until it is seen that its end is gone.
    until("no connection is left", async || pool.get().await.is_err()).await;
    server.up();
    for _ in 0..3 {
        let lent = pool.get().await.expect("a new one");
        one(&lent, "SELECT 'x'").await;
        lent.give_back();
    }
}
