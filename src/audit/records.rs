//! A batch of records: filled by a session, emptied by the journal, used again.

use std::net::{IpAddr, SocketAddr};

use super::decode::{
    ASKS_RECEIPT, HAS_CLASS, HAS_CONSENT, HAS_PART, HAS_REFERENCES, VERDICT_FIXED_OCTETS,
};
use super::format::{RECORD_HEAD_OCTETS, u64_at};
use super::kind::Kind;
use super::proof::Signed;
use super::read::{decode, split_record};
use super::record::{
    ADDRESS_OCTETS_MAX, Address, BindRecord, EndRecord, KeysRecord, MESSAGE_ID_OCTETS_MAX,
    NAME_OCTETS_MAX, REFERENCE_OCTETS_MAX, REPLY_OCTETS_MAX, Record, ReplyRecord, ResponseRecord,
    RulesRecord, StartRecord, UnansweredRecord, VerdictRecord,
};

/// Records on their way to the journal, encoded but for number and sum.
///
/// It allocates only when it grows beyond what it ever held. Every `time_us` is the time of the
/// event in microseconds since the Unix epoch, UTC.
#[derive(Clone, Default)]
pub struct Records {
    octets: Vec<u8>,
    count: usize,
    /// Whether a verdict or a bind is among them.
    judged: bool,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Records {{ {} records, {} octets }}", self.count, self.octets.len())
    }
}

impl Records {
    /// An empty batch that holds nothing yet.
    pub const fn new() -> Records {
        Records { octets: Vec::new(), count: 0, judged: false }
    }

    /// Records in it.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether something in it was judged that is not carried out yet: what may be refused instead.
    /// Everything else has happened already.
    pub fn holds_judged(&self) -> bool {
        self.judged
    }

    /// The encoded records, one after the other, their sums still zero.
    ///
    /// Two batches with equal octets become equal records: this is what replay compares.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// What the records say, each with its time in microseconds since the Unix epoch.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Record<'_>)> {
        let mut rest = self.octets.as_slice();
        std::iter::from_fn(move || {
            let (record, behind) = split_record(rest)?;
            rest = behind;
            Some((u64_at(record, 8), decode(record)))
        })
    }

    /// Takes the records of another batch behind these.
    pub fn take_from(&mut self, other: &mut Records) {
        self.octets.append(&mut other.octets);
        self.count += std::mem::take(&mut other.count);
    }

    /// Drops the records and keeps the room.
    pub fn clear(&mut self) {
        self.octets.clear();
        self.count = 0;
        self.judged = false;
    }

    /// A message was judged.
    pub fn verdict(&mut self, time_us: u64, record: &VerdictRecord<'_>) {
        let mut fixed = [0; RECORD_HEAD_OCTETS + VERDICT_FIXED_OCTETS];
        fixed[2] = Kind::Verdict as u8;
        fixed[8..16].copy_from_slice(&time_us.to_le_bytes());
        fixed[16..24].copy_from_slice(&record.session.to_le_bytes());
        fixed[24..28].copy_from_slice(&record.command_id.to_le_bytes());
        fixed[28..32].copy_from_slice(&record.sequence_number.to_le_bytes());
        fixed[32] = record.verdict;
        fixed[33] = record.rule;
        fixed[34..42].copy_from_slice(&record.observed.to_le_bytes());
        fixed[42..46].copy_from_slice(&record.status.to_le_bytes());
        fixed[46..50].copy_from_slice(&record.command_length.to_le_bytes());
        fixed[50] = record.esm_class;
        fixed[51] = record.data_coding;
        let has = |is: bool, bit: u8| if is { bit } else { 0 };
        fixed[52] = has(record.part.is_some(), HAS_PART)
            | has(record.class != 0, HAS_CLASS)
            | has(record.consent != 0, HAS_CONSENT)
            | has(!record.references.is_empty(), HAS_REFERENCES)
            | has(record.asks_receipt, ASKS_RECEIPT);
        self.judged = true;
        let start = self.octets.len();
        self.octets.extend_from_slice(&fixed);
        self.address(record.source);
        self.address(record.destination);
        if let Some(part) = record.part {
            self.octets.extend_from_slice(&[part.number, part.total]);
            self.octets.extend_from_slice(&part.reference.to_le_bytes());
        }
        if record.class != 0 {
            self.octets.push(record.class);
        }
        if record.consent != 0 {
            self.octets.extend_from_slice(&record.consent.to_le_bytes());
        }
        if !record.references.is_empty() {
            let references = record.references;
            for id in [references.entity, references.template, references.consent] {
                self.counted(id, REFERENCE_OCTETS_MAX);
            }
        }
        self.finish(start);
    }

    /// The SMSC answered a message.
    pub fn response(&mut self, time_us: u64, record: &ResponseRecord<'_>) {
        let start = self.begin(Kind::Response, time_us);
        self.octets.extend_from_slice(&record.session.to_le_bytes());
        self.octets.extend_from_slice(&record.command_id.to_le_bytes());
        self.octets.extend_from_slice(&record.sequence_number.to_le_bytes());
        self.octets.extend_from_slice(&record.status.to_le_bytes());
        self.octets.extend_from_slice(&record.latency_us.to_le_bytes());
        self.octets.push(record.flags);
        self.counted(record.message_id, MESSAGE_ID_OCTETS_MAX);
        self.finish(start);
    }

    /// A message that went on was never answered.
    pub fn unanswered(&mut self, time_us: u64, record: &UnansweredRecord) {
        let start = self.begin(Kind::Unanswered, time_us);
        self.octets.extend_from_slice(&record.session.to_le_bytes());
        self.octets.extend_from_slice(&record.command_id.to_le_bytes());
        self.octets.extend_from_slice(&record.sequence_number.to_le_bytes());
        self.octets.extend_from_slice(&record.verdict_us.to_le_bytes());
        self.finish(start);
    }

    /// A bind was judged.
    pub fn bind(&mut self, time_us: u64, record: &BindRecord<'_>) {
        self.judged = true;
        let start = self.begin(Kind::Bind, time_us);
        self.octets.extend_from_slice(&record.session.to_le_bytes());
        self.octets.extend_from_slice(&record.command_id.to_le_bytes());
        self.octets.extend_from_slice(&record.sequence_number.to_le_bytes());
        self.octets.extend_from_slice(&[record.verdict, record.rule]);
        self.octets.extend_from_slice(&record.observed.to_le_bytes());
        self.octets.extend_from_slice(&record.status.to_le_bytes());
        self.octets.push(record.interface_version);
        self.socket(Some(record.peer));
        self.socket(record.smsc);
        self.text(record.listener);
        self.text(record.provider);
        self.counted(record.system_id, NAME_OCTETS_MAX);
        self.finish(start);
    }

    /// A session ended.
    pub fn end(&mut self, time_us: u64, record: &EndRecord) {
        let start = self.begin(Kind::End, time_us);
        self.octets.extend_from_slice(&record.session.to_le_bytes());
        self.octets.push(record.reason);
        self.octets.extend_from_slice(&record.forwarded.to_le_bytes());
        self.octets.extend_from_slice(&record.refused.to_le_bytes());
        self.octets.extend_from_slice(&record.unanswered.to_le_bytes());
        self.finish(start);
    }

    /// A handset's answer ends or gives consent.
    pub fn reply(&mut self, time_us: u64, record: &ReplyRecord<'_>) {
        let start = self.begin(Kind::Reply, time_us);
        self.octets.extend_from_slice(&record.session.to_le_bytes());
        self.octets.extend_from_slice(&record.command_id.to_le_bytes());
        self.octets.extend_from_slice(&record.sequence_number.to_le_bytes());
        self.octets.push(record.reply);
        self.address(record.source);
        self.address(record.destination);
        self.octets.push(record.data_coding);
        self.counted(record.text, REPLY_OCTETS_MAX);
        self.finish(start);
    }

    /// Other rules or another registry came into force.
    pub fn rules(&mut self, time_us: u64, record: &RulesRecord<'_>) {
        let start = self.begin(Kind::Rules, time_us);
        self.octets.extend_from_slice(&record.rules);
        self.text(record.rule_set);
        self.finish(start);
    }

    /// The notary signed what a segment was; its time is that of the checkpoint.
    pub(super) fn checkpoint(&mut self, signed: &Signed) {
        let checkpoint = &signed.checkpoint;
        let start = self.begin(Kind::Checkpoint, checkpoint.time_us);
        for number in [checkpoint.segment, checkpoint.first, checkpoint.size] {
            self.octets.extend_from_slice(&number.to_le_bytes());
        }
        self.octets.extend_from_slice(&checkpoint.root);
        self.octets.extend_from_slice(&checkpoint.chain);
        self.octets.extend_from_slice(&checkpoint.time_us.to_le_bytes());
        self.octets.extend_from_slice(&checkpoint.key);
        self.octets.extend_from_slice(&signed.signature);
        self.finish(start);
    }

    /// The keys of a segment, written by the journal itself; or that keys were destroyed.
    pub fn keys(&mut self, time_us: u64, record: &KeysRecord<'_>) {
        let start = self.begin(Kind::Keys, time_us);
        self.octets.push(record.what);
        self.text(record.key);
        self.octets.extend_from_slice(&record.numbers);
        self.octets.extend_from_slice(&record.content);
        self.octets.extend_from_slice(&record.first.to_le_bytes());
        self.octets.extend_from_slice(&record.through.to_le_bytes());
        self.text(record.reason);
        self.finish(start);
    }

    /// The journal was opened: written by the journal itself.
    pub(super) fn start(&mut self, time_us: u64, record: &StartRecord<'_>) {
        let start = self.begin(Kind::Start, time_us);
        self.octets.extend_from_slice(&record.config);
        self.octets.extend_from_slice(&record.rules);
        self.text(record.program);
        self.text(record.rule_set);
        self.text(record.reading);
        self.finish(start);
    }

    /// The journal was closed: written by the journal itself.
    pub(super) fn stop(&mut self, time_us: u64) {
        let start = self.begin(Kind::Stop, time_us);
        self.finish(start);
    }

    pub(super) fn begin(&mut self, kind: Kind, time_us: u64) -> usize {
        let start = self.octets.len();
        let mut head = [0; RECORD_HEAD_OCTETS];
        head[2] = kind as u8;
        head[8..16].copy_from_slice(&time_us.to_le_bytes());
        self.octets.extend_from_slice(&head);
        start
    }

    /// Writes the length. Texts and addresses are cut, so no record comes near the limit of u16.
    pub(super) fn finish(&mut self, start: usize) {
        let length = (self.octets.len() - start) as u16;
        self.octets[start..start + 2].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
    }

    pub(super) fn raw(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    pub(super) fn address(&mut self, address: Address<'_>) {
        self.octets.extend_from_slice(&[address.ton, address.npi]);
        self.counted(address.raw, ADDRESS_OCTETS_MAX);
    }

    pub(super) fn counted(&mut self, raw: &[u8], octets_max: usize) {
        let cut = raw.get(..octets_max).unwrap_or(raw);
        self.octets.push(cut.len() as u8);
        self.octets.extend_from_slice(cut);
    }

    pub(super) fn text(&mut self, text: &str) {
        let end = text.floor_char_boundary(NAME_OCTETS_MAX);
        self.counted(text.get(..end).unwrap_or_default().as_bytes(), NAME_OCTETS_MAX);
    }

    fn socket(&mut self, socket: Option<SocketAddr>) {
        let Some(socket) = socket else { return self.octets.push(0) };
        self.octets.push(if socket.is_ipv4() { 4 } else { 6 });
        self.octets.extend_from_slice(&socket.port().to_le_bytes());
        match socket.ip() {
            IpAddr::V4(ip) => self.octets.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => self.octets.extend_from_slice(&ip.octets()),
        }
    }
}
