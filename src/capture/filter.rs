//! Which frames are wanted: of which providers, senders and verdicts.
//!
//! Binds, unbinds and their answers are always wanted: without them nobody can tell whose session it
//! is. Of the rest, an answer is wanted when its request was.

use std::collections::VecDeque;

use crate::smpp::broadcast::BroadcastSm;
use crate::smpp::message::{Message, WireAddress};
use crate::smpp::multi::SubmitMulti;
use crate::smpp::operation::{CancelSm, QuerySm, ReplaceSm};
use crate::smpp::{Command, Header};

/// Most names of one list of a filter.
pub const NAMES_MAX: usize = 64;

/// Longest sender of a filter, octets: the longest address of a submit_sm.
pub const SOURCE_OCTETS_MAX: usize = 20;

/// Wanted requests of one session, each direction, whose answer is waited for. Of more, the answer to
/// the oldest is not recognised.
pub const AWAITED_MAX: usize = 4096;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It went on.
    Pass,
    /// It was answered by the proxy.
    Refuse,
    /// It went on although a rule refuses it, because that rule only observes.
    Observe,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Verdict; 3] = [Verdict::Pass, Verdict::Refuse, Verdict::Observe];

    /// The word that configuration, API and comments use.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Refuse => "refuse",
            Verdict::Observe => "observe",
        }
    }
}

/// Which frames are wanted. An empty list wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Names in the registry.
    pub providers: Vec<String>,
    /// Sender codes; one with an extension begins with its code.
    pub sources: Vec<String>,
    /// Of the requests that are judged.
    pub verdicts: Vec<Verdict>,
}

impl Filter {
    /// Whether sessions of that provider are wanted; its name is empty while nobody knows.
    pub fn wants_provider(&self, name: &str) -> bool {
        self.providers.is_empty() || self.providers.iter().any(|wanted| wanted == name)
    }

    /// Whether every frame of a wanted session is.
    fn wants_every_frame(&self) -> bool {
        self.sources.is_empty() && self.verdicts.is_empty()
    }

    fn wants_sender(&self, address: Option<WireAddress<'_>>) -> bool {
        self.sources.is_empty()
            || address.is_some_and(|address| {
                self.sources.iter().any(|code| address.value.starts_with(code.as_bytes()))
            })
    }

    fn wants_verdict(&self, verdict: Option<Verdict>) -> bool {
        self.verdicts.is_empty() || verdict.is_some_and(|one| self.verdicts.contains(&one))
    }
}

/// What a filter has chosen of one session, to know the answers by.
#[derive(Debug, Default)]
pub struct Chosen {
    from_esme: VecDeque<u32>,
    from_smsc: VecDeque<u32>,
}

impl Chosen {
    /// Whether a frame that the ESME sent is wanted.
    pub fn from_esme(&mut self, filter: &Filter, frame: &[u8], verdict: Option<Verdict>) -> bool {
        let Some(header) = Header::of(frame) else { return false };
        if filter.wants_every_frame() || is_of_session(header.command) {
            return true;
        }
        if header.command.is_response() {
            return answered(&mut self.from_smsc, header);
        }
        let wanted = filter.wants_verdict(verdict) && filter.wants_sender(source(frame));
        wanted && awaited(&mut self.from_esme, header)
    }

    /// Whether a frame that the ESME was sent is wanted.
    pub fn to_esme(&mut self, filter: &Filter, frame: &[u8]) -> bool {
        let Some(header) = Header::of(frame) else { return false };
        if filter.wants_every_frame() || is_of_session(header.command) {
            return true;
        }
        if header.command.is_response() {
            return answered(&mut self.from_esme, header);
        }
        // What the SMSC sends has no verdict; it is addressed to the sender that it answers.
        let wanted = filter.wants_verdict(None) && filter.wants_sender(addressee(frame));
        wanted && awaited(&mut self.from_smsc, header)
    }
}

fn awaited(waiting: &mut VecDeque<u32>, header: Header) -> bool {
    if waiting.len() >= AWAITED_MAX {
        waiting.pop_front();
    }
    waiting.push_back(header.sequence_number);
    true
}

fn answered(waiting: &mut VecDeque<u32>, header: Header) -> bool {
    let found = waiting.iter().position(|number| *number == header.sequence_number);
    found.is_some_and(|at| waiting.remove(at).is_some())
}

fn is_of_session(command: Command) -> bool {
    matches!(
        command,
        Command::BindReceiver
            | Command::BindReceiverResp
            | Command::BindTransmitter
            | Command::BindTransmitterResp
            | Command::BindTransceiver
            | Command::BindTransceiverResp
            | Command::Outbind
            | Command::Unbind
            | Command::UnbindResp
    )
}

/// source_addr of a request that has one and can be parsed.
fn source(frame: &[u8]) -> Option<WireAddress<'_>> {
    match Header::of(frame)?.command {
        Command::SubmitSm => Message::parse(frame).ok().map(|message| message.source),
        Command::DataSm => Message::parse_data_sm(frame).ok().map(|message| message.source),
        Command::SubmitMulti => SubmitMulti::parse(frame).ok().map(|multi| multi.message.source),
        Command::QuerySm => QuerySm::parse(frame).ok().map(|query| query.source),
        Command::CancelSm => CancelSm::parse(frame).ok().map(|cancel| cancel.source),
        Command::ReplaceSm => ReplaceSm::parse(frame).ok().map(|replace| replace.source),
        Command::BroadcastSm => BroadcastSm::parse(frame).ok().map(|broadcast| broadcast.source),
        _ => None,
    }
}

/// The code that a handset's message or a receipt is addressed to.
fn addressee(frame: &[u8]) -> Option<WireAddress<'_>> {
    match Header::of(frame)?.command {
        Command::DeliverSm => Message::parse(frame).ok().map(|message| message.destination),
        Command::DataSm => Message::parse_data_sm(frame).ok().map(|message| message.destination),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smpp::CommandStatus;
    use crate::smpp::write::{self, MessageFields};

    fn message(command: Command, sequence: u32, source: &[u8], destination: &[u8]) -> Vec<u8> {
        let address = |value| WireAddress { ton: 0, npi: 1, value };
        let fields = MessageFields {
            source: address(source),
            destination: address(destination),
            esm_class: 0,
            registered_delivery: 0,
            data_coding: 8,
            short_message: b"\x4f\x60",
        };
        let mut out = Vec::new();
        write::message(&mut out, command, sequence, fields, |_| {});
        out
    }

    fn bare(command_id: u32, sequence: u32) -> Vec<u8> {
        let mut out = Vec::new();
        write::header_only(&mut out, command_id, CommandStatus::ESME_ROK, sequence);
        out
    }

    fn filter(sources: &[&str], verdicts: &[Verdict]) -> Filter {
        let sources = sources.iter().map(|one| (*one).to_owned()).collect();
        Filter { providers: Vec::new(), sources, verdicts: verdicts.to_vec() }
    }

    /// One session's frames: whether the ESME sent it, its octets, its verdict.
    #[test]
    fn requests_are_wanted_with_their_answers() {
        use Verdict::{Observe, Pass, Refuse};
        let (submit, ok) = (Command::SubmitSm, Command::SubmitSm.response_id());
        let deliver_ok = Command::DeliverSm.response_id();
        let frames = [
            (true, bare(Command::BindTransceiver.id(), 1), None),
            (true, message(submit, 2, b"106900001234", b"8613800138000"), Some(Pass)),
            (true, message(submit, 3, b"10690000123499", b"8613800138000"), Some(Refuse)),
            (true, message(submit, 4, b"1069", b"8613800138000"), Some(Observe)),
            (true, bare(Command::EnquireLink.id(), 5), None),
            (false, bare(ok, 3), None),
            (false, bare(ok, 2), None),
            (false, bare(ok, 4), None),
            (false, bare(ok, 4), None),
            (false, bare(Command::EnquireLinkResp.id(), 5), None),
            (false, message(Command::DeliverSm, 6, b"8613800138000", b"106900001234"), None),
            (true, bare(deliver_ok, 6), None),
            (false, message(Command::DeliverSm, 7, b"8613800138000", b"95533"), None),
            (true, bare(deliver_ok, 7), None),
            (true, message(submit, 8, b"", b"8613800138000"), Some(Refuse)),
            (true, bare(submit.id(), 9), Some(Refuse)),
            (false, bare(Command::GenericNack.id(), 9), None),
            (true, bare(Command::Unbind.id(), 10), None),
        ];
        for (filter, wanted) in [
            (filter(&[], &[]), "111111111111111111"),
            (filter(&["106900001234"], &[]), "111001100011000001"),
            (filter(&["1069"], &[]), "111101110011000001"),
            (filter(&["9553", "x"], &[]), "100000000000110001"),
            (filter(&[], &[Refuse]), "101001000000001111"),
            (filter(&[], &[Pass, Observe]), "110100110000000001"),
            (filter(&["106900001234"], &[Refuse]), "101001000000000001"),
        ] {
            let mut chosen = Chosen::default();
            let told: String = frames
                .iter()
                .map(|(is_esmes, frame, verdict)| match is_esmes {
                    true => chosen.from_esme(&filter, frame, *verdict),
                    false => chosen.to_esme(&filter, frame),
                })
                .map(|wanted| if wanted { '1' } else { '0' })
                .collect();
            assert_eq!(told, wanted, "{filter:?}");
        }
    }

    #[test]
    fn answers_that_never_come_are_forgotten() {
        let filter = filter(&["1"], &[]);
        let mut chosen = Chosen::default();
        for sequence in 0..=AWAITED_MAX as u32 {
            let frame = message(Command::SubmitSm, sequence, b"1", b"2");
            assert!(chosen.from_esme(&filter, &frame, Some(Verdict::Pass)));
        }
        let resp = Command::SubmitSm.response_id();
        assert!(!chosen.to_esme(&filter, &bare(resp, 0)), "one past the limit");
        assert!(chosen.to_esme(&filter, &bare(resp, 1)));
    }

    #[test]
    fn providers_are_wanted_by_name() {
        let mut filter = Filter::default();
        assert!(filter.wants_provider("a") && filter.wants_provider(""));
        filter.providers = vec!["a".to_owned()];
        assert!(filter.wants_provider("a") && !filter.wants_provider("b"));
        assert!(!filter.wants_provider(""), "before its bind a session is nobody's");
    }
}
