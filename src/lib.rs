//! Consentry: a transparent SMPP proxy that lets no message through that the law forbids.
pub mod admin;
pub mod cmd;
pub mod config;
pub mod metrics;
pub mod smpp;
