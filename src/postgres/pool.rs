//! Connections that are lent, a bounded number. What is not given back is closed: a request that was given up,
//! or a transaction that was left, may still be going on there.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{
    self, Manager, Metrics, Object, PoolError, RecycleError, RecycleResult, Timeouts,
};

use super::{Connection, Fault, Server};

/// Lends connections of one server. Clones are the same pool.
#[derive(Debug, Clone)]
pub struct Pool {
    pool: managed::Pool<Server>,
    patience: Duration,
}

/// A connection that is lent. Dropped, it is closed.
#[derive(Debug)]
pub struct Lent {
    object: Object<Server>,
    is_whole: bool,
}

impl Pool {
    pub(super) fn new(server: Server, max: usize, patience: Duration) -> Result<Pool, Fault> {
        let timeouts = Timeouts { wait: Some(patience), ..Timeouts::default() };
        let builder = managed::Pool::builder(server).max_size(max).timeouts(timeouts);
        let pool = builder.runtime(Runtime::Tokio1).build();
        let pool = pool.map_err(|error| Fault::Setting(error.to_string()))?;
        Ok(Pool { pool, patience })
    }

    /// One that nobody has, or a new one. Waits `patience` for one to be given back; a new one takes as long as
    /// [`Server::connect`] does, so give it up only where waiting is worse than beginning anew.
    ///
    /// # Errors
    ///
    /// Those of [`Server::connect`], or that all are lent.
    pub async fn get(&self) -> Result<Lent, Fault> {
        match self.pool.get().await {
            Ok(object) => Ok(Lent { object, is_whole: false }),
            Err(PoolError::Backend(fault)) => Err(fault),
            Err(PoolError::Timeout(_)) => {
                let (max, patience) = (self.pool.status().max_size, self.patience);
                Err(Fault::Down(format!("all {max} connections were in use for {patience:?}")))
            }
            Err(_) => Err(Fault::Down("the pool of connections is closed".to_owned())),
        }
    }
}

impl Lent {
    /// Gives it back, when what was asked is answered and no transaction is open.
    pub fn give_back(mut self) {
        self.is_whole = true;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_whole {
            self.object.cut();
        }
    }
}

impl Deref for Lent {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.object
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.object
    }
}

impl Manager for Server {
    type Type = Connection;
    type Error = Fault;

    async fn create(&self) -> Result<Connection, Fault> {
        self.connect().await
    }

    async fn recycle(&self, one: &mut Connection, _: &Metrics) -> RecycleResult<Fault> {
        if one.is_over() { Err(RecycleError::message("it is closed")) } else { Ok(()) }
    }
}
