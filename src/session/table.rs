//! Where each command may go, by direction and bind state (SMPP 3.4 2.3, SMPP 5.0 2.4).
//!
//! One table, no wildcard over commands: a command added to the specification does not compile
//! until it has its row. Two rules shaped it. From the ESME, nothing that carries a text or an
//! address crosses unless it is judged. From the SMSC, which is the carrier's own, everything
//! crosses as it came; the session only watches.

use crate::smpp::{Command, CommandStatus};

/// Which of the bind requests a session was bound by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindKind {
    /// bind_transmitter: the ESME sends messages.
    Transmitter,
    /// bind_receiver: the ESME receives messages.
    Receiver,
    /// bind_transceiver: both.
    Transceiver,
}

impl BindKind {
    /// The kind that a bind request asks for.
    pub fn of(command: Command) -> Option<BindKind> {
        match command {
            Command::BindTransmitter => Some(BindKind::Transmitter),
            Command::BindReceiver => Some(BindKind::Receiver),
            Command::BindTransceiver => Some(BindKind::Transceiver),
            _ => None,
        }
    }

    /// The specification's word.
    pub fn name(self) -> &'static str {
        match self {
            BindKind::Transmitter => "transmitter",
            BindKind::Receiver => "receiver",
            BindKind::Transceiver => "transceiver",
        }
    }
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindState {
    /// No bind yet, or the last one was refused by the SMSC.
    Open,
    /// A bind was let through and the SMSC has not answered it.
    Binding(BindKind),
    /// The SMSC accepted the bind.
    Bound(BindKind),
    /// An unbind is on its way, from either side.
    Unbinding,
}

impl BindState {
    /// The word that metrics and listings use.
    pub fn name(self) -> &'static str {
        match self {
            BindState::Open => "open",
            BindState::Binding(_) => "binding",
            BindState::Bound(BindKind::Transmitter) => "bound_tx",
            BindState::Bound(BindKind::Receiver) => "bound_rx",
            BindState::Bound(BindKind::Transceiver) => "bound_trx",
            BindState::Unbinding => "unbinding",
        }
    }

    /// All words of [`BindState::name`].
    pub const NAMES: [&'static str; 6] =
        ["open", "binding", "bound_tx", "bound_rx", "bound_trx", "unbinding"];
}

/// What is done with a command from the ESME.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A bind request: the provider is judged.
    JudgeBind,
    /// It carries a text to a recipient: every rule looks.
    JudgeMessage,
    /// It asks about somebody's message: whose it is, rules look.
    JudgeOperation,
    /// It crosses: it carries neither text nor address.
    Forward,
    /// We answer it ourselves, since there is no SMSC to ask yet.
    AnswerHere,
    /// It is refused by name, with this status.
    Refuse(CommandStatus),
    /// A response that answers nothing: swallowed and counted. Nacking a response would loop.
    Drop,
}

/// What the operator wants done with command_ids that no specification names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownCommand {
    /// generic_nack with ESME_RINVCMDID.
    #[default]
    Refuse,
    /// They cross unjudged: for a vendor's extension that the operator knows.
    Forward,
}

/// Whether requests that carry a message may come from the ESME in this state.
fn may_send(state: BindState) -> bool {
    matches!(state, BindState::Bound(BindKind::Transmitter | BindKind::Transceiver))
}

/// The place of `command` from the ESME in `state`.
pub fn from_esme(command: Command, state: BindState, unknown: UnknownCommand) -> Place {
    let connected = state != BindState::Open;
    match command {
        Command::BindReceiver | Command::BindTransmitter | Command::BindTransceiver => {
            match state {
                BindState::Open => Place::JudgeBind,
                BindState::Binding(_) | BindState::Bound(_) | BindState::Unbinding => {
                    Place::Refuse(CommandStatus::ESME_RALYBND)
                }
            }
        }

        Command::SubmitSm
        | Command::DataSm
        | Command::SubmitMulti
        | Command::ReplaceSm
        | Command::BroadcastSm
            if may_send(state) =>
        {
            Place::JudgeMessage
        }
        Command::QuerySm
        | Command::CancelSm
        | Command::QueryBroadcastSm
        | Command::CancelBroadcastSm
            if may_send(state) =>
        {
            Place::JudgeOperation
        }
        Command::SubmitSm
        | Command::DataSm
        | Command::SubmitMulti
        | Command::ReplaceSm
        | Command::BroadcastSm
        | Command::QuerySm
        | Command::CancelSm
        | Command::QueryBroadcastSm
        | Command::CancelBroadcastSm => Place::Refuse(CommandStatus::ESME_RINVBNDSTS),

        // Only an SMSC sends these (SMPP 3.4 4.1.7, 4.6.1, 4.12.1).
        Command::Outbind | Command::DeliverSm | Command::AlertNotification => {
            Place::Refuse(CommandStatus::ESME_RINVCMDID)
        }

        Command::EnquireLink | Command::Unbind if !connected => Place::AnswerHere,
        Command::EnquireLink | Command::Unbind => Place::Forward,

        Command::DeliverSmResp
        | Command::DataSmResp
        | Command::EnquireLinkResp
        | Command::UnbindResp
        | Command::GenericNack => {
            if connected {
                Place::Forward
            } else {
                Place::Drop
            }
        }

        // Responses that only an SMSC gives.
        Command::BindReceiverResp
        | Command::BindTransmitterResp
        | Command::BindTransceiverResp
        | Command::SubmitSmResp
        | Command::SubmitMultiResp
        | Command::QuerySmResp
        | Command::ReplaceSmResp
        | Command::CancelSmResp
        | Command::BroadcastSmResp
        | Command::QueryBroadcastSmResp
        | Command::CancelBroadcastSmResp => Place::Drop,

        Command::Unknown(_) => match unknown {
            UnknownCommand::Forward if connected => Place::Forward,
            UnknownCommand::Forward | UnknownCommand::Refuse if command.is_response() => {
                Place::Drop
            }
            UnknownCommand::Forward | UnknownCommand::Refuse => {
                Place::Refuse(CommandStatus::ESME_RINVCMDID)
            }
        },
    }
}

/// What a frame from the SMSC means to the session that it crosses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// The answer to the bind.
    BindAnswer,
    /// The answer to a request that a record waits for.
    Answer,
    /// The SMSC takes its leave, or agrees to the ESME's.
    Leave,
    /// A handset's message, or what became of one to it.
    Message,
    /// Nothing: it crosses.
    None,
}

/// What `command` from the SMSC means. All of them cross.
pub fn from_smsc(command: Command) -> Sign {
    match command {
        Command::BindReceiverResp | Command::BindTransmitterResp | Command::BindTransceiverResp => {
            Sign::BindAnswer
        }
        Command::SubmitSmResp
        | Command::DataSmResp
        | Command::SubmitMultiResp
        | Command::QuerySmResp
        | Command::CancelSmResp
        | Command::ReplaceSmResp
        | Command::BroadcastSmResp
        | Command::QueryBroadcastSmResp
        | Command::CancelBroadcastSmResp
        | Command::GenericNack => Sign::Answer,
        Command::Unbind | Command::UnbindResp => Sign::Leave,
        Command::DeliverSm | Command::DataSm => Sign::Message,
        Command::BindReceiver
        | Command::BindTransmitter
        | Command::BindTransceiver
        | Command::Outbind
        | Command::SubmitSm
        | Command::SubmitMulti
        | Command::DeliverSmResp
        | Command::QuerySm
        | Command::CancelSm
        | Command::ReplaceSm
        | Command::EnquireLink
        | Command::EnquireLinkResp
        | Command::AlertNotification
        | Command::BroadcastSm
        | Command::QueryBroadcastSm
        | Command::CancelBroadcastSm
        | Command::Unknown(_) => Sign::None,
    }
}
