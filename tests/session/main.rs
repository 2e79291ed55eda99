//! What becomes of messages in a session without sockets, alone and with those before and beside them.

mod earlier;
mod hold;
mod long_messages;
mod multi;
mod oracle;
mod race;
mod receipts;
mod session;
mod spread;
mod stripped;
mod sweeps;
