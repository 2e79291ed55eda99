//! Body octets to characters, as the handset will show them (3GPP TS 23.038, TS 23.040).
//!
//! Knows neither SMPP nor the law: it is given a data_coding and octets, and answers with text or
//! with why there is none. Nothing here guesses.
//!
//! | file | subject |
//! |---|---|
//! | [`body`], [`udh`] | a body's header and text |
//! | [`data_coding`] | which alphabet, which class |
//! | [`options`] | what a route's own conventions say |
//! | [`mod@decode`] | a body to text |
//! | [`gsm7`], [`ucs2`], [`gbk`] | the alphabets |
//! | [`binary`] | eight-bit data that is text after all |
//! | [`joining`] | the parts of long messages |
//! | [`receipt`] | what became of a message |
//! | [`undecodable`] | why there is none |

pub mod binary;
pub mod body;
pub mod data_coding;
pub mod decode;
mod direction;
pub mod gbk;
pub mod gsm7;
pub mod joining;
mod likeness;
pub mod options;
pub mod receipt;
pub mod ucs2;
pub mod udh;
pub mod undecodable;

pub use body::Body;
pub use data_coding::{Alphabet, DefaultAlphabet, MessageClass};
pub use decode::{Decoded, decode};
pub use gsm7::Shifts;
pub use options::{Options, Packing};
pub use undecodable::Undecodable;
