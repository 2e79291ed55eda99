//! command_id values (SMPP 3.4 5.1.2.1, SMPP 5.0 4.7.5).

use std::fmt;

/// Set in the command_id of every response (SMPP 3.4 5.1.2).
pub const RESPONSE_BIT: u32 = 0x8000_0000;

macro_rules! commands {
    ($($variant:ident $id:literal $name:literal)*) => {
        /// A command_id. Codes that no specification names are values, not errors.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Command {
            $(#[doc = concat!("`", $name, "`, ", stringify!($id), ".")] $variant,)*
            /// A code outside the specifications: a vendor's, or a mistake.
            Unknown(u32),
        }

        impl Command {
            /// Every command that SMPP 3.4 and 5.0 name.
            pub const ALL: &[Command] = &[$(Command::$variant),*];

            /// The command that a command_id stands for.
            pub const fn of(command_id: u32) -> Command {
                match command_id {
                    $($id => Command::$variant,)*
                    other => Command::Unknown(other),
                }
            }

            /// The code on the wire.
            pub const fn id(self) -> u32 {
                match self {
                    $(Command::$variant => $id,)*
                    Command::Unknown(id) => id,
                }
            }

            /// A small number of this command, below [`Command::SLOTS`]; all unknown codes share
            /// the last. For tables of counters.
            pub const fn slot(self) -> usize {
                enum Slot { $($variant,)* Unknown }
                match self {
                    $(Command::$variant => Slot::$variant as usize,)*
                    Command::Unknown(_) => Slot::Unknown as usize,
                }
            }

            /// The specification's name; `unknown` for a code it does not have.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Command::$variant => $name,)*
                    Command::Unknown(_) => "unknown",
                }
            }
        }
    };
}

commands! {
    GenericNack 0x8000_0000 "generic_nack"
    BindReceiver 0x0000_0001 "bind_receiver"
    BindReceiverResp 0x8000_0001 "bind_receiver_resp"
    BindTransmitter 0x0000_0002 "bind_transmitter"
    BindTransmitterResp 0x8000_0002 "bind_transmitter_resp"
    QuerySm 0x0000_0003 "query_sm"
    QuerySmResp 0x8000_0003 "query_sm_resp"
    SubmitSm 0x0000_0004 "submit_sm"
    SubmitSmResp 0x8000_0004 "submit_sm_resp"
    DeliverSm 0x0000_0005 "deliver_sm"
    DeliverSmResp 0x8000_0005 "deliver_sm_resp"
    Unbind 0x0000_0006 "unbind"
    UnbindResp 0x8000_0006 "unbind_resp"
    ReplaceSm 0x0000_0007 "replace_sm"
    ReplaceSmResp 0x8000_0007 "replace_sm_resp"
    CancelSm 0x0000_0008 "cancel_sm"
    CancelSmResp 0x8000_0008 "cancel_sm_resp"
    BindTransceiver 0x0000_0009 "bind_transceiver"
    BindTransceiverResp 0x8000_0009 "bind_transceiver_resp"
    Outbind 0x0000_000b "outbind"
    EnquireLink 0x0000_0015 "enquire_link"
    EnquireLinkResp 0x8000_0015 "enquire_link_resp"
    SubmitMulti 0x0000_0021 "submit_multi"
    SubmitMultiResp 0x8000_0021 "submit_multi_resp"
    AlertNotification 0x0000_0102 "alert_notification"
    DataSm 0x0000_0103 "data_sm"
    DataSmResp 0x8000_0103 "data_sm_resp"
    BroadcastSm 0x0000_0111 "broadcast_sm"
    BroadcastSmResp 0x8000_0111 "broadcast_sm_resp"
    QueryBroadcastSm 0x0000_0112 "query_broadcast_sm"
    QueryBroadcastSmResp 0x8000_0112 "query_broadcast_sm_resp"
    CancelBroadcastSm 0x0000_0113 "cancel_broadcast_sm"
    CancelBroadcastSmResp 0x8000_0113 "cancel_broadcast_sm_resp"
}

impl Command {
    /// Whether the code is a response's.
    pub const fn is_response(self) -> bool {
        self.id() & RESPONSE_BIT != 0
    }

    /// Whether the request brings a text on its way to recipients.
    pub const fn carries_message(self) -> bool {
        matches!(
            self,
            Command::SubmitSm
                | Command::SubmitMulti
                | Command::DataSm
                | Command::ReplaceSm
                | Command::BroadcastSm
        )
    }

    /// The command_id of the response to this request; a response's own for a response.
    pub const fn response_id(self) -> u32 {
        self.id() | RESPONSE_BIT
    }

    /// The number of codes counted apart in metrics: those of [`Command::ALL`] and one for the rest.
    pub const SLOTS: usize = Command::ALL.len() + 1;
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Unknown(id) => write!(f, "{id:#010x}"),
            known => f.write_str(known.name()),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_commands_agree_both_ways() {
        for (at, &command) in Command::ALL.iter().enumerate() {
            assert_eq!(Command::of(command.id()), command);
            assert_eq!(command.slot(), at);
        }
        for id in (0..0x200).chain(0x8000_0000..0x8000_0200) {
            assert_eq!(Command::of(id).id(), id);
            assert_eq!(Command::of(id).is_response(), id >= 0x8000_0000);
        }
        assert_eq!(format!("{}", Command::of(0x0001_0001)), "0x00010001");
        assert_eq!(Command::Unknown(7777).slot(), Command::SLOTS - 1);
    }
}
