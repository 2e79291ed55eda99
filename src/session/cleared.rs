//! The permission to go to the SMSC, as a type.

/// Octets that may be written to the SMSC: whole frames whose verdicts are on record, as they came but
/// for a submit_multi that was narrowed.
///
/// Its field is private and only this room makes one (`Session::cleared`), so a way round the judge
/// does not compile:
///
/// ```compile_fail
/// let forged = consentry::session::Cleared { octets: b"unjudged" };
/// ```
///
/// ```compile_fail
/// let forged = consentry::session::Cleared::of(b"unjudged");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Cleared<'a> {
    octets: &'a [u8],
}

impl<'a> Cleared<'a> {
    pub(super) fn of(octets: &'a [u8]) -> Cleared<'a> {
        Cleared { octets }
    }

    /// The octets to write.
    pub fn octets(self) -> &'a [u8] {
        self.octets
    }
}
