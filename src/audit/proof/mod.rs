//! What proves a record to somebody who does not trust whoever keeps the journal.
//!
//! The records of a group are the leaves of a Merkle tree ([`tree`]), whose root is in the chain value of the
//! link that covers them. The links of a segment are the leaves of another, and a thread behind the writer, the
//! notary, signs its root again and again: a [`Checkpoint`]. From then on a record is proved by its octets, its
//! path to the root of its group, the link, the link's path and the signature, and nothing that was covered
//! can be changed, dropped or put in without the private key. A record is hashed once for all of this.
//!
//! | file | subject |
//! |---|---|
//! | [`tree`] | hashes, roots, paths |
//! | `leaves` | the tree of one segment, also at an earlier size, and what leads from a record to its root |
//! | `checkpoint` | what is signed, and the file that holds the newest |
//! | `notary` | the thread that reads behind the writer and signs |
//! | `prove` | one record and all that proves it |

mod checkpoint;
mod leaves;
mod notary;
mod prove;
pub mod tree;

pub use checkpoint::{Checkpoint, CheckpointFault, Signed};
pub(super) use checkpoint::{Newest, replace};
pub(super) use leaves::{Leaves, root_of};
pub(super) use notary::Notary;
pub use notary::NotaryOptions;
pub use prove::{Covered, Proof, ProofFault, ProveFault, Prover};

/// Octets as lower case hexadecimal digits.
pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The octets of lower case hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |sign: u8| match sign {
        b'0'..=b'9' => Some(sign - b'0'),
        b'a'..=b'f' => Some(sign - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let octets = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    octets.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

/// The octets of hexadecimal digits, exactly so many.
pub(super) fn unhex_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    unhex(text)?.try_into().ok()
}
