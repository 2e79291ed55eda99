//! What judging works with and keeps from batch to batch, so that no message allocates. One for
//! each thread that carries traffic.

use super::asked::Awaited;
use super::heard::Heards;
use super::looked::Recalled;
use super::originals::{Given, MessageId};
use super::prepare::Frame;
use crate::consent::Question;
use crate::content;
use crate::content::reply::Keyword;
use crate::policy::Consent;

/// Buffers of one thread.
#[derive(Debug, Default)]
pub struct Desk {
    /// The text of the message at hand.
    pub(super) text: String,
    /// The reader's own.
    pub(super) reading: content::Scratch,
    /// A text's normal form.
    pub(super) normal: content::Normal,
    /// Bodies that were heard before.
    pub(super) heards: Heards,
    /// The keywords that a code announced.
    pub(super) keywords: Vec<Keyword>,
    /// Ids that the SMSC gave to messages: remembered together when its octets have been looked at.
    pub(super) given: Vec<Given>,
    /// Ids of messages whose receipts are waited for, remembered alike.
    pub(super) asked: Vec<(MessageId, Awaited)>,
    /// The frames of a batch: empty between batches, kept for its room.
    pub(super) frames: Vec<Frame<'static>>,
    /// What was found in the frames of a batch that waited for the ledger.
    pub(super) recalled: Recalled,
    /// What a batch asks the ledger.
    pub(super) questions: Vec<Question>,
    /// What the ledger said, in the same order.
    pub(super) answers: Vec<Consent>,
}
