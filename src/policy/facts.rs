//! All that a decision may look at. References and small copies: nothing allocated a message.

use std::net::IpAddr;

use super::{Consent, Forms, Horizon, Parts, ReviewPolicy, Stated, Text};
use crate::registry::{
    Address, Allotment, Presented, Provider, ProviderId, Recipient, RecipientFault, Registry,
    Sender, SenderFault, recipient, sender,
};

/// The facts of one message to one recipient.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The time: microseconds since the Unix epoch, UTC.
    pub now_us: u64,
    /// Whose bind the message came over; `None` when an unknown system_id was let in (observed).
    pub provider: Option<(ProviderId, &'a Provider)>,
    /// The sender in canonical form.
    pub sender: Result<Sender<'a>, SenderFault>,
    /// To whom the sender is allotted; [`Allotment::None`] when there is no valid sender.
    pub allotment: Allotment<'a>,
    /// Whether it names an earlier message, and whose that is.
    pub earlier: Earlier,
    /// The recipient in canonical form.
    pub recipient: Result<Recipient, RecipientFault>,
    /// Another sender beside source_addr; the first found.
    pub second_sender: Option<SecondSender>,
    /// Whether both short_message and message_payload are there.
    pub two_bodies: bool,
    /// Whether there is no text at all.
    pub no_body: bool,
    /// Whether the SMSC is told to send a text of its own instead (sm_default_msg_id).
    pub stored_body: bool,
    /// In what form it comes, where that is no plain text's.
    pub forms: Forms,
    /// How it stands to the long message that it is a part of.
    pub parts: Parts,
    /// What the message says.
    pub text: Text,
    /// How the provider stands with the recipient; `None` when the message is such that nobody
    /// asked.
    pub consent: Option<Consent>,
    /// When delivery shall begin.
    pub begins: Stated,
    /// When delivery shall have ended.
    pub ends: Stated,
    /// How far ahead consent vouches.
    pub horizon: Horizon,
    /// Whether a proof of consent must have been reviewed.
    pub review: ReviewPolicy,
    /// Whether its recipient belongs to a sweep of the provider's.
    pub sweep: Sweep,
    /// Whether the message is within the provider's rate.
    pub rate: Rate,
}

impl<'a> Facts<'a> {
    /// Fetches what the registry knows: the provider, both canonical numbers and the allotment.
    /// No second sender, one body of a plain text, unread, no sweep, within the rate: set these fields where it is otherwise.
    pub fn fetch(
        registry: &'a Registry,
        now_us: u64,
        provider: Option<ProviderId>,
        source: &Address<'a>,
        destination: &Address<'_>,
    ) -> Self {
        let sender = sender(source);
        Self {
            now_us,
            provider: provider.and_then(|id| Some((id, registry.provider_by_id(id)?))),
            sender,
            allotment: sender.map_or(Allotment::None, |sender| registry.allotment(&sender)),
            recipient: recipient(destination),
            earlier: Earlier::NotNamed,
            second_sender: None,
            two_bodies: false,
            no_body: false,
            stored_body: false,
            forms: Forms::default(),
            parts: Parts::Sound,
            text: Text::Unread,
            consent: None,
            begins: Stated::Not,
            ends: Stated::Not,
            horizon: Horizon::default(),
            review: ReviewPolicy::Strict,
            sweep: Sweep::None,
            rate: Rate::Within,
        }
    }
}

/// The facts of one bind.
#[derive(Clone, Copy, Debug)]
pub struct BindFacts<'a> {
    /// The time: microseconds since the Unix epoch, UTC.
    pub now_us: u64,
    /// Who has the bind's system_id, if anybody.
    pub provider: Option<&'a Provider>,
    /// Where the connection comes from.
    pub peer: IpAddr,
    /// The client certificate that was shown.
    pub presented: &'a Presented,
    /// Whether the provider has fewer sessions than it may.
    pub rate: Rate,
}

/// Where a message carries another sender than its source_addr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondSender {
    /// The callback_num parameter (SMPP 3.4 5.3.2.36), or how to show one or by what name: handsets may
    /// show it as the sender.
    CallbackNum,
    /// The source_subaddress parameter (SMPP 3.4 5.3.2.15).
    SourceSubaddress,
    /// The reply address element, 0x22, of the user data header (3GPP TS 23.040 9.2.3.24.17).
    ReplyAddress,
    /// The reply path bit of esm_class (SMPP 3.4 5.2.12).
    ReplyPath,
    /// In parameters with which the message does not go on.
    Stripped,
}

/// How a recipient stands to the others that the same provider sent to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sweep {
    /// Scattered, as customers are.
    #[default]
    None,
    /// They follow one another in equal steps.
    Sequence,
    /// They are most of the numbers of a block.
    Block,
}

/// The earlier message that a request names by its message_id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Earlier {
    /// It names none.
    #[default]
    NotNamed,
    /// One that the same provider sent.
    Own,
    /// One of which that is not known.
    Unknown,
}

/// Whether a message is within its provider's rate, a bind within its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Within, or no rate was agreed.
    Within,
    /// Over it.
    Exceeded,
}
