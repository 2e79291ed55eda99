//! Databases that speak PostgreSQL's protocol, and how they are spoken to: a URL as libpq spells it, TLS, several
//! hosts of which one is to be written to, connections alone or lent from a pool. What is asked of them is the
//! rooms' own that use this one.
//!
//! | file | subject |
//! |---|---|
//! | `url` | what a URL says; pure |
//! | `tls` | whom TLS believes |
//! | `server` | a connection to the first host that is what is asked for |
//! | `pool` | connections that are lent, a bounded number |
//! | `fault` | what went wrong, without a password or a value |
//!
//! ```no_run
//! # async fn asked() -> Result<(), consentry::postgres::Fault> {
//! use consentry::postgres::{Server, Url};
//!
//! let url: Url = "postgres://me@h1,h2/db?target_session_attrs=read-write".parse()?;
//! let server = Server::new(url, None)?.named("consentry consent");
//! let pool = server.pool(4, std::time::Duration::from_secs(5))?;
//! let connection = pool.get().await?;
//! let one = connection.query_one("SELECT 1", &[]).await?;
//! connection.give_back(); // else it is closed
//! # Ok(())
//! # }
//! ```

mod fault;
mod pool;
mod server;
mod tls;
mod url;

pub use fault::Fault;
pub use pool::{Lent, Pool};
pub use server::{CONNECT, Connection, PASSWORD_OCTETS_MAX, Server};
pub use url::{Encryption, HOSTS_MAX, URL_OCTETS_MAX, Url};
