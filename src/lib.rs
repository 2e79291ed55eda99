//! Consentry: a transparent SMPP proxy that lets no message through that the law forbids.
//!
//! ```text
//!  ESME socket                                                              SMSC socket
//!      | octets                                                                  ^
//!      v                                                                         | octets
//!  proxy::listen -> proxy::pump -> smpp::frame -> a frame                   proxy::out
//!                                                    |                           ^
//!                                                    v borrows                   | Cleared
//!                                               smpp views                       |
//!                                                    | text:: decodes and joins, |
//!                                                    | content:: reads           |
//!                                                    v                           |
//!                                               policy::Facts (+ registry, consent, now: fetched
//!                                                    |            first, for the whole batch)
//!                                                    |                           |
//!                                                    v                           |
//!                                               policy::decide -> Decision -> session
//!                                                                                |
//!                                                     audit::Journal <- records -+
//!                                                     (nothing goes on before it has them)
//! ```
//!
//! # Layout
//!
//! In the order in which a message meets them:
//!
//! | room | what it does |
//! |---|---|
//! | [`proxy`] | sockets: listen, pump, limits, drain |
//! | [`smpp`] | octets to PDUs and nothing else |
//! | [`text`] | body octets to characters: user data header, data_coding, alphabets |
//! | [`registry`] | who is admitted: providers, licences, codes, numbering plan |
//! | [`consent`] | who said yes: standing of entity and recipient, events, proofs |
//! | [`content`] | what a text is: classes, templates, signatures, how to refuse |
//! | [`policy`] | facts in, decision out |
//! | [`upstream`] | which of several SMSCs a bind goes to, by weight and by what they do |
//! | [`session`] | one pair without sockets; where SMPP, text and policy meet |
//! | [`audit`] | what was decided: records, journal, chain, proofs, keys, retention, search |
//! | [`archive`] | records as tables: columns, CSV, NDJSON, Parquet, reports, what is handed over |
//! | [`pem`] | files of certificates and keys: who is trusted, what is shown |
//! | [`cluster`] | what nodes tell each other of their senders: leases of rates, sweeps, keywords |
//! | [`postgres`] | how databases are spoken to: URL, TLS, several hosts, pools |
//! | [`mirror`] | what was recorded, delivered to files, PostgreSQL, Kafka as the journal grows |
//! | [`stream`] | consent events that come in from a Kafka topic |
//! | `spans` | what became of single sessions and messages, for a collector of traces (feature `otlp`) |
//! | [`capture`] | the proxy's own traces: redacted, bounded, as Wireshark reads them |
//! | [`admin`] | HTTP: metrics, health, sessions, the consent ledger |
//! | [`metrics`] | every metric family and its closed labels |
//! | [`config`] | the file that users write |
//! | [`replay`] | captured traffic to PDUs, verdicts and a report |
//! | [`peer`] | a small ESME and a small SMSC, for demo, load, playing captures and tests |
//! | [`cmd`] | one file a sub-command |
//!
//! # Invariants
//!
//! 1. No message leaves for the SMSC but inside a [`session::Cleared`], which only `session` makes. What
//!    passes is the octets that came; by configuration a submit_multi may be narrowed to those who may get
//!    it, a message stripped of a second sender, and one bit set that asks for a receipt.
//! 2. No verdict without a record; the record is accepted before the step is carried out.
//! 3. The pure rooms (`smpp`, `text`, `registry`, `content`, `policy`, `upstream`, `session`, `replay`) name no clock,
//!    socket, file, task or log; `tests/architecture.rs` holds them to it.
//! 4. Every command that carries a text or a recipient is judged or refused: [`session::table`].
//! 5. Everything has a limit, named with its unit.
//! 6. The same octets at the same times under the same rules make the same records.
//! 7. No phone number, text or password in a log, label or error; the words of a reply that ends or
//!    gives consent stand in its record alone.
//! 8. A revocation is kept by ledger and journal before its deliver_sm goes on, and is looked for once
//!    more before a message that waited goes on: `tests/session/race.rs`, `tests/proxy/replies.rs`.

pub mod admin;
pub mod archive;
pub mod audit;
pub mod capture;
pub mod cluster;
pub mod cmd;
pub mod config;
pub mod consent;
pub mod content;
pub mod metrics;
pub mod mirror;
pub mod peer;
pub mod pem;
pub mod policy;
pub mod postgres;
pub mod proxy;
pub mod registry;
pub mod replay;
pub mod session;
pub mod smpp;
#[cfg(feature = "otlp")]
pub mod spans;
pub mod stream;
pub mod text;
pub mod upstream;
