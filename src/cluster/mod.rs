//! What nodes tell each other of their senders, so that nobody gains by spreading over them: through tables
//! of the database that has the consent ledger.
//!
//! ```text
//! consentry_members    node | seen (us), has_left: who serves, by the database's clock
//! consentry_rates      provider | empty_at (ns): the budget of its rate, see `budget`
//! consentry_sweeps     node, turn (us) | told: where its messages went, see `summary`
//! ```
//!
//! Nothing here is waited for by a message. Each exchange has its turn and its deadline; one that fails is
//! over, and the next begins anew. `docs/nodes.md` says what holds meanwhile.
//!
//! | file | subject |
//! |---|---|
//! | `budget` | what a rate's budget lets a node have; pure |
//! | `demand` | what a node asks of it, and how its leases go; pure |
//! | `summary` | where messages went, as octets; pure |
//! | `tables` | the SQL |
//! | `keywords` | the keywords that messages announced |
//! | `exchange` | the turns |

mod budget;
mod demand;
mod exchange;
mod keywords;
mod summary;
mod tables;

pub use budget::{Ask, Budget, Members};
pub use demand::Demands;
pub use exchange::{Exchange, KeywordsFrom, Serving, start};
pub use summary::{CELLS_A_TURN_MAX, TOLD_OCTETS_MAX, read, write};
pub use tables::{ABSENT_AFTER_US, FORGOTTEN_AFTER_US, MEMBERS_MAX};
