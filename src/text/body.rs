//! A body's octets, split into its user data header and its text.

use super::udh::Udh;
use super::undecodable::Undecodable;

/// What stands in short_message or message_payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<'a> {
    /// The header, where esm_class says that there is one.
    pub header: Option<Udh<'a>>,
    /// The text behind it.
    pub text: &'a [u8],
}

impl<'a> Body<'a> {
    /// A body that is all text.
    pub fn plain(text: &'a [u8]) -> Body<'a> {
        Body { header: None, text }
    }

    /// Splits the octets of a body whose esm_class says by its UDH indicator whether it begins with
    /// a header. [`Undecodable::Header`] when it does not hold one: where the text begins is unknown.
    pub fn split(octets: &'a [u8], has_header: bool) -> Result<Body<'a>, Undecodable> {
        if !has_header {
            return Ok(Body::plain(octets));
        }
        let (header, text) = Udh::split(octets).ok_or(Undecodable::Header)?;
        Ok(Body { header: Some(header), text })
    }

    /// Octets of the header with its length octet; zero where there is none.
    pub fn header_octets(&self) -> usize {
        self.header.map_or(0, |header| header.octets() + 1)
    }
}
