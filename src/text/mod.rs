//! Body octets to characters, as the handset will show them (3GPP TS 23.038, TS 23.040).
//!
//! Knows neither SMPP nor the law: it is given a data_coding and octets, and answers with text or
//! with why there is none. Nothing here guesses.

pub mod body;
pub mod data_coding;
pub mod decode;
pub mod gsm7;
pub mod options;
pub mod udh;
pub mod undecodable;

pub use body::Body;
pub use data_coding::{Alphabet, DefaultAlphabet, MessageClass};
pub use decode::{Decoded, decode};
pub use options::{Options, Packing};
pub use undecodable::Undecodable;
