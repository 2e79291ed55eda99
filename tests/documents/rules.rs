//! docs/rules.md: every rule, from the program's own tables, each with a way to see it fire. The commands
//! of the document are run by `tests/documents/run.py`, which looks that this very rule fires.

use std::fmt::Write as _;
use std::path::Path;

use consentry::policy::{Reason, Rule, RuleSet};
use consentry::session::{StatusStyle, Statuses};
use consentry::smpp::tlv::Tag;
use consentry::smpp::{CommandStatus, write};

use super::generated;
use super::traps::is_test;

const HEAD: &str = "# The rules\n\n\
Written by `BLESS=1 cargo test --test documents` from the program's own tables; do not edit it.\n\n\
A rule has a name that stays, the article that it rests on, a mode, and the statuses that it answers with. Three rule \
sets name the articles: `cn-draft-2014` (征求意见稿), `cn-order31-2015` (工业和信息化部令第31号) and `cn-order74-2026` \
(第74号, the default). **Order 74's full text was not available when this was written: its articles are given as Order 31's \
and are not verified.** What is judged is the same under all three.\n\n\
- **Mode**: `[rules] mode`, or `[rules.override] \"NAME\" = { mode = ... }`. A rule that *may be observed* can be set to \
`observe` (the message goes on, the hit is recorded) or `off`. The others are always enforced, because what they refuse \
cannot be forwarded.\n\
- **Status**: `compatible` is what every ESME knows; `[rules] status = \"precise\"` gives causes a status of their own from \
the vendors' range. An override sets one status for a whole rule. Only `rate.exceeded`, `audit.unavailable`, \
`ledger.unavailable` and `session.draining` use a status that ESMEs retry.\n\
- **Order**: rules look in the order that `consentry explain` prints; the first that fires decides.\n\n\
To try the commands below, make a place with everything in it first:\n\n\
```sh\nconsentry demo --keep demo\n```\n\n\
`explain` ends with 1 where the message would be refused. It judges one submit_sm or data_sm: binds, rates, several \
messages together and failures are shown otherwise, as said there.\n";

/// The families, in the order of this document.
const FAMILIES: [(&str, &str); 22] = [
    ("provider", "Who sends: the provider (短信息内容提供者) whose system_id bound."),
    ("source", "The sender's number (发送端电话号码或者代码): there, true, and its own."),
    ("code", "What the code (码号) was allotted for."),
    ("earlier", "replace_sm, query_sm, cancel_sm: whose message they name."),
    ("destination", "The recipient."),
    ("multi", "submit_multi."),
    ("body", "One body, and a text in it."),
    ("form", "A plain text to a person, and nothing else."),
    ("parts", "Long messages in parts ([long_messages.md](long_messages.md))."),
    ("content", "What the text says, read as the handset will."),
    ("public", "Public-interest messages (公益性短信息, [public.md](public.md))."),
    ("recipients", "Numbers made up by counting (号码组合)."),
    ("consent", "Consent (同意) and refusal (拒绝, 退订): [consent.md](consent.md)."),
    ("schedule", "Consent vouches for what goes out soon."),
    ("notice", "How to refuse more (退订方式)."),
    ("signature", "【Signatures】 (签名)."),
    ("command", "Commands that may not cross."),
    ("pdu", "What is no PDU."),
    ("rate", "More than was agreed."),
    ("audit", "The journal."),
    ("ledger", "The consent ledger."),
    ("session", "The proxy's own end."),
];

/// How a rule is seen to fire.
enum Shown {
    /// `explain` refuses a message over this system_id.
    Explained { system_id: &'static str, message: Message, about: &'static str },
    /// Something else, and where it is done: a test, or a fixture that names the rule.
    Done { how: &'static str, file: &'static str, test: &'static str },
}

enum Message {
    /// From a code to a number, with a text.
    Plain(&'static str, &'static str, &'static str),
    /// A whole PDU.
    Hex(Vec<u8>),
}

const SERVICE: &str = "【示例商城】验证码 123456，五分钟内有效。";
const OFFER: &str = "【示例商城】周末全场五折，满300减50。回T退订";
const CODE: &str = "106900001234";
const ADVERTISING: &str = "106900009999";
const ANYBODY: &str = "8613800138000";
const CONSENTING: &str = "8613700137000";

fn plain(
    system_id: &'static str,
    source: &'static str,
    dest: &'static str,
    text: &'static str,
    about: &'static str,
) -> Shown {
    Shown::Explained { system_id, message: Message::Plain(source, dest, text), about }
}

/// The fields of a submit_sm that a rule looks at; what is not said is a service message that passes.
#[derive(Clone, Copy)]
struct Submit<'a> {
    service_type: &'a str,
    source: &'a str,
    dest: &'a str,
    esm_class: u8,
    protocol_id: u8,
    schedule: &'a str,
    replace: u8,
    data_coding: u8,
    stored: u8,
    header: &'a [u8],
    text: &'a str,
    parameter: Option<(Tag, &'a [u8])>,
}

const SUBMIT: Submit<'static> = Submit {
    service_type: "",
    source: CODE,
    dest: ANYBODY,
    esm_class: 0,
    protocol_id: 0,
    schedule: "",
    replace: 0,
    data_coding: 8,
    stored: 0,
    header: &[],
    text: SERVICE,
    parameter: None,
};

const OFFERING: Submit<'static> =
    Submit { source: ADVERTISING, dest: CONSENTING, text: OFFER, ..SUBMIT };

impl Submit<'_> {
    fn octets(self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut text = self.header.to_vec();
        text.extend(self.text.encode_utf16().flat_map(u16::to_be_bytes));
        write::pdu(&mut out, 4, CommandStatus::ESME_ROK, 1, |body| {
            write::c_octets(body, self.service_type.as_bytes());
            for address in [self.source, self.dest] {
                body.extend_from_slice(&[0, 1]);
                write::c_octets(body, address.as_bytes());
            }
            body.extend_from_slice(&[self.esm_class, self.protocol_id, 0]);
            write::c_octets(body, self.schedule.as_bytes());
            body.extend_from_slice(&[0, 0, self.replace, self.data_coding, self.stored]);
            body.push(text.len() as u8);
            body.extend_from_slice(&text);
            if let Some((tag, value)) = self.parameter {
                write::tlv(body, tag, value);
            }
        });
        out
    }
}

fn hex(submit: Submit<'_>, about: &'static str) -> Shown {
    Shown::Explained { system_id: "shop1", message: Message::Hex(submit.octets()), about }
}

fn done(how: &'static str, file: &'static str, test: &'static str) -> Shown {
    Shown::Done { how, file, test }
}

fn shown(rule: Rule) -> Shown {
    match rule {
        Rule::ProviderUnknown => {
            plain("nobody", CODE, ANYBODY, SERVICE, "nobody has that system_id")
        }
        Rule::ProviderLicence => {
            plain("lapsed1", CODE, ANYBODY, SERVICE, "its licence ended in 2025")
        }
        Rule::ProviderLocation => done(
            "Bind from an address outside the provider's `from`; ESME_RBINDFAIL answers the bind",
            "proto-fixtures/policy/cases.toml",
            "from elsewhere",
        ),
        Rule::ProviderCertificate => done(
            "Bind without a client certificate of those in the provider's `certificates`; ESME_RBINDFAIL answers the bind",
            "proto-fixtures/policy/cases.toml",
            "without its certificate",
        ),
        Rule::ProviderIdentity => {
            plain("pending1", CODE, ANYBODY, SERVICE, "`identity = \"pending\"`")
        }
        Rule::SourceMissing => plain("shop1", "", ANYBODY, SERVICE, "no sender"),
        Rule::SourceMalformed => {
            plain("shop1", "13900139000", ANYBODY, SERVICE, "a person's number as the sender")
        }
        Rule::SourceForged => {
            plain("shop1", "106900005678", ANYBODY, SERVICE, "somebody else's code")
        }
        Rule::SourceSecond => hex(
            Submit { parameter: Some((Tag::CALLBACK_NUM, b"\x01\x00\x0010086")), ..SUBMIT },
            "a submit_sm with callback_num 10086",
        ),
        Rule::CodeLength => plain(
            "shop1",
            "10690000123412345",
            ANYBODY,
            SERVICE,
            "17 digits where 16 were allotted",
        ),
        Rule::CodeRegion => plain(
            "other1",
            "106900005678",
            "8613900139000",
            SERVICE,
            "the code's `regions` is `[\"138\"]`",
        ),
        Rule::DestinationMalformed => plain("shop1", CODE, "12321", SERVICE, "nobody's number"),
        Rule::DestinationList => done(
            "A submit_multi that names a distribution list",
            "proto-fixtures/pdus/submit_multi.pdu",
            "destination.list",
        ),
        Rule::MultiRefused => done(
            "A submit_multi of which one recipient is refused, with `[rules] submit_multi = \"whole\"`",
            "proto-fixtures/pdus/submit_multi-recipient.pdu",
            "multi.refused",
        ),
        Rule::EarlierUnknown => done(
            "A replace_sm that names a message_id of nobody",
            "proto-fixtures/pdus/replace_sm.pdu",
            "earlier.unknown",
        ),
        Rule::BodyAmbiguous => hex(
            Submit { parameter: Some((Tag::MESSAGE_PAYLOAD, b"\x4f\x60")), ..SUBMIT },
            "short_message and message_payload",
        ),
        Rule::BodyStored => hex(Submit { stored: 1, ..SUBMIT }, "sm_default_msg_id is 1"),
        Rule::BodyEmpty => plain("shop1", CODE, ANYBODY, "", "no text"),
        Rule::FormReplacing => hex(Submit { replace: 1, ..SUBMIT }, "replace_if_present_flag is 1"),
        Rule::FormService => hex(Submit { service_type: "USSD", ..SUBMIT }, "service_type is USSD"),
        Rule::FormProtocol => hex(
            Submit { protocol_id: 0x40, ..SUBMIT },
            "protocol_id 0x40: the handset shows nothing",
        ),
        Rule::FormMode => {
            hex(Submit { esm_class: 1, ..SUBMIT }, "esm_class asks for datagram mode")
        }
        Rule::FormProgram => hex(
            Submit { esm_class: 0x40, header: &[6, 5, 4, 0x0b, 0x84, 0x23, 0xf0], ..SUBMIT },
            "a user data header with port 2948 (WAP push)",
        ),
        Rule::FormBinary => hex(
            Submit { data_coding: 4, header: &[0xff, 0xfe, 0xfd], text: "", ..SUBMIT },
            "data_coding 4, and no text in it",
        ),
        Rule::FormDisplay => hex(
            Submit { data_coding: 0x18, ..OFFERING },
            "an advertisement with data_coding 0x18 (flash), to who consented",
        ),
        Rule::PartsMalformed => {
            hex(Submit { esm_class: 0x40, header: &[5, 0, 3, 7, 2, 3], ..SUBMIT }, "part 3 of 2")
        }
        Rule::PartsLimit => done(
            "A long message of more parts than `[long_messages] parts`, or more of them at once than `messages`",
            "tests/session/long_messages.rs",
            "limits_hold_at_the_edge_and_complete_messages_give_way",
        ),
        Rule::ContentUndecodable => {
            hex(Submit { header: &[0x4f], ..SUBMIT }, "UCS2 of an odd number of octets")
        }
        Rule::ContentProhibited => plain(
            "shop1",
            CODE,
            ANYBODY,
            "【示例商城】订单备注含示 例 禁 词，已删除。",
            "`prohibited.txt` lists 示例禁词; spaces do not hide it",
        ),
        Rule::CodePurpose => plain("shop1", CODE, ANYBODY, OFFER, "an offer over a service code"),
        Rule::PublicUnfiled => plain(
            "other1",
            "106900007777",
            ANYBODY,
            "明日暴雨，请注意防范。",
            "a `public` code without a `filing`",
        ),
        Rule::RecipientsSwept => done(
            "Advertising over several binds to numbers that are counted through",
            "tests/session/session.rs",
            "numbers_counted_through_over_two_binds_are_refused",
        ),
        Rule::ConsentMissing => {
            plain("shop1", ADVERTISING, "8613900139001", OFFER, "nothing is known of this number")
        }
        Rule::ConsentRevoked => {
            plain("shop1", ADVERTISING, ANYBODY, OFFER, "the demo's handset answered 退订")
        }
        Rule::ConsentExpired => {
            plain("shop1", ADVERTISING, "8613600136000", OFFER, "a consent until the end of 2020")
        }
        Rule::ConsentRepeat => plain(
            "shop1",
            ADVERTISING,
            "8613500135000",
            "【示例商城】您是否愿意每月收到最多四次优惠信息？回复Y同意，不回复视为拒绝。",
            "asked already; the text is the request in `ask.txt`",
        ),
        Rule::ScheduleBeyond => hex(
            Submit { schedule: "000010000000000R", ..OFFERING },
            "an advertisement to be delivered in ten days",
        ),
        Rule::NoticeMissing => plain(
            "shop1",
            ADVERTISING,
            CONSENTING,
            "【示例商城】周末全场五折，满300减50。",
            "to who consented, without a way to refuse",
        ),
        Rule::SignatureMissing => {
            plain("shop1", CODE, ANYBODY, "验证码 123456，五分钟内有效。", "no 【signature】")
        }
        Rule::SignatureUnregistered => plain(
            "shop1",
            CODE,
            ANYBODY,
            "【别家商店】验证码 123456，五分钟内有效。",
            "another's 【signature】",
        ),
        Rule::CommandRefused => done(
            "A second bind on a session that is bound",
            "proto-fixtures/pdus/bind_transceiver-again.pdu",
            "command.refused",
        ),
        Rule::PduMalformed => {
            let mut cut = SUBMIT.octets();
            cut.truncate(cut.len() - 1);
            cut[3] = cut.len() as u8;
            let about = "a submit_sm whose sm_length says one octet more than there is";
            Shown::Explained { system_id: "shop1", message: Message::Hex(cut), about }
        }
        Rule::RateExceeded => done(
            "A provider with `rate = 1` that sends faster (`consentry load` does)",
            "tests/session/multi.rs",
            "each_recipient_counts_for_the_rate",
        ),
        Rule::AuditUnavailable => done(
            "A disk that is full or read-only; it ends when records can be written again",
            "tests/proxy/disks.rs",
            "a_full_disk_lets_nothing_through_unrecorded_and_heals",
        ),
        Rule::LedgerUnavailable => done(
            "A consent ledger that failed; service messages pass",
            "tests/policy.rs",
            "a_ledger_that_is_gone_hides_no_legal_refusal_and_stops_no_service",
        ),
        Rule::SessionDraining => done(
            "A message sent after SIGTERM",
            "tests/session/session.rs",
            "a_session_that_drains_refuses_finishes_and_unbinds",
        ),
    }
}

/// The arguments of `explain` behind `-c FILE`.
fn arguments(system_id: &str, message: &Message) -> Vec<String> {
    let mut arguments = vec!["--system-id".to_owned(), system_id.to_owned()];
    match message {
        Message::Plain(source, dest, text) => {
            for (name, value) in [("--source", source), ("--dest", dest), ("--text", text)] {
                arguments.extend([name.to_owned(), (*value).to_owned()]);
            }
        }
        Message::Hex(octets) => {
            let hex = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            arguments.extend(["--hex".to_owned(), hex]);
        }
    }
    arguments
}

fn in_shell(word: &str) -> String {
    let is_plain = !word.is_empty() && word.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    if is_plain { word.to_owned() } else { format!("'{word}'") }
}

fn tell(out: &mut String, rule: Rule) {
    let observed = if rule.may_be_observed() { "may be observed" } else { "always enforced" };
    let articles = RuleSet::ALL.map(|set| rule.article(set)).join(" · ");
    let _ =
        write!(out, "\n### `{}`\n\n{} {articles}; {observed}.\n\n", rule.name(), rule.summary());
    out.push_str("| cause | compatible | precise |\n|---|---|---|\n");
    let [compatible, precise] = [StatusStyle::Compatible, StatusStyle::Precise].map(Statuses::new);
    for &reason in Reason::ALL.iter().filter(|reason| reason.rule() == rule) {
        let noted = if reason.is_noted() { " (only recorded)" } else { "" };
        let [one, other] = [&compatible, &precise].map(|statuses| statuses.of(reason));
        let other = if one == other { "the same".to_owned() } else { other.to_string() };
        let _ = writeln!(out, "| {}{noted} | {one} | {other} |", reason.detail());
    }
    if rule == Rule::PduMalformed {
        out.push_str("\nWhere a field has a status of its own (ESME_RINVMSGLEN, ESME_RINVDSTADR, ...), that one.\n");
    }
    match shown(rule) {
        Shown::Explained { system_id, message, about } => {
            let words = arguments(system_id, &message);
            let words: Vec<String> = words.iter().map(|word| in_shell(word)).collect();
            let _ = write!(
                out,
                "\nTo see it: {about}.\n\n```sh\nconsentry explain -c demo/consentry.toml"
            );
            let _ = writeln!(out, " {}   # exit status 1\n```", words.join(" "));
            let _ = writeln!(out, "\n```output\nrefuse  {}  ...\n```", rule.name());
        }
        Shown::Done { how, file, test } => {
            let _ = writeln!(out, "\nTo see it: {how} (`{file}`: `{test}`).");
        }
    }
}

#[test]
fn every_rule_is_told_with_a_way_to_see_it_fire() {
    let mut text = HEAD.to_owned();
    text.push_str("\n| rule | what it refuses | Order 31 | may be observed |\n|---|---|---|---|\n");
    let family = |rule: Rule| rule.name().split('.').next().unwrap_or_default();
    let place = |rule: &Rule| FAMILIES.iter().position(|(name, _)| *name == family(*rule));
    let mut rules = Rule::ALL;
    rules.sort_by_key(|rule| (place(rule).expect("FAMILIES names its family"), rule.code()));
    for rule in rules {
        let anchor = rule.name().replace('.', "");
        let _ = writeln!(
            text,
            "| [`{}`](#{anchor}) | {} | {} | {} |",
            rule.name(),
            rule.summary(),
            rule.article(RuleSet::CnOrder31_2015),
            if rule.may_be_observed() { "yes" } else { "no" }
        );
    }
    for (name, about) in FAMILIES {
        let own: Vec<Rule> = rules.into_iter().filter(|rule| family(*rule) == name).collect();
        if !own.is_empty() {
            let _ = write!(text, "\n## {name}\n\n{about}\n");
        }
        for rule in own {
            tell(&mut text, rule);
        }
    }
    generated::must_be("docs/rules.md", &text);
}

#[test]
fn what_explain_cannot_show_is_shown_where_it_is_said() {
    let mut faults = Vec::new();
    for rule in Rule::ALL {
        let Shown::Done { file, test, .. } = shown(rule) else { continue };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let source = std::fs::read_to_string(path).unwrap_or_default();
        let there =
            if file.ends_with(".rs") { is_test(&source, test) } else { source.contains(test) };
        if !there {
            faults.push(format!("{}: {file} has no {test}", rule.name()));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
