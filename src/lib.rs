//! Consentry: a transparent SMPP proxy that lets no message through that the law forbids.
pub mod cmd;
pub mod peer;
pub mod smpp;
