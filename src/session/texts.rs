//! What texts are read with: the classifier, each code's templates, the lists. Here a message's
//! octets become what the rules may know of its text.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::desk::Desk;
use super::heard::{Circumstances, Heard};
use crate::content::{
    self, Class, Kind, Prohibited, Reader, Templates, notice, same_name, signatures,
};
use crate::policy::{Facts, Mode, Modes, Nature, Rule, Said, Signed, Text, nature};
use crate::registry::{Allotment, Code, CodeId, Purpose};
use crate::text::{self, Body, Undecodable};

/// The templates registered for one code.
#[derive(Clone, Debug, Default)]
pub struct CodeTemplates {
    /// What it may send without consent; `None` when its owner registered none.
    pub service: Option<Arc<Templates>>,
    /// By what its owner asks for consent.
    pub requests: Option<Arc<Templates>>,
}

/// What texts are read with.
pub struct Texts {
    reader: Arc<Reader>,
    prohibited: Prohibited,
    /// By [`CodeId`].
    templates: Vec<CodeTemplates>,
    /// Whether any rule asks for the text.
    is_asked: bool,
    /// By purpose: whether a text may decide what becomes of a message.
    decides: [bool; 4],
    version: u64,
}

/// The rules that ask for the text.
const RULES: [Rule; 13] = [
    Rule::CodePurpose,
    Rule::RecipientsSwept,
    Rule::ConsentMissing,
    Rule::ConsentRevoked,
    Rule::ConsentExpired,
    Rule::ConsentRepeat,
    Rule::NoticeMissing,
    Rule::SignatureMissing,
    Rule::SignatureUnregistered,
    Rule::ContentProhibited,
    Rule::ContentUndecodable,
    Rule::FormBinary,
    Rule::FormDisplay,
];

const PURPOSES: [Purpose; 4] =
    [Purpose::Commercial, Purpose::Service, Purpose::Public, Purpose::Mixed];

/// Whether a rule in force depends on what a text of such a code says, and not only on whose it is.
fn decides(purpose: Purpose, modes: &Modes) -> bool {
    let is_decided_by = |rule: &Rule| match rule {
        Rule::ContentProhibited
        | Rule::ContentUndecodable
        | Rule::FormBinary
        | Rule::FormDisplay
        | Rule::NoticeMissing
        | Rule::SignatureMissing
        | Rule::SignatureUnregistered => true,
        Rule::CodePurpose => matches!(purpose, Purpose::Service | Purpose::Public),
        // A commercial code needs consent whatever it says; any other where the text is such.
        _ => purpose != Purpose::Commercial,
    };
    let mut in_force = RULES.iter().filter(|rule| modes.of(**rule) == Mode::Enforce);
    in_force.any(is_decided_by)
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Texts(weights {}, {} codes)", self.reader.digest(), self.templates.len())
    }
}

impl Texts {
    /// `templates` by [`CodeId`]; codes beyond it have none. Where `modes` has every rule that asks
    /// for the text off, no text is read.
    pub fn new(
        reader: impl Into<Arc<Reader>>,
        prohibited: Prohibited,
        templates: Vec<CodeTemplates>,
        modes: &Modes,
    ) -> Texts {
        let reader = reader.into();
        static VERSIONS: AtomicU64 = AtomicU64::new(1);
        let is_asked = RULES.into_iter().any(|rule| modes.of(rule) != Mode::Off);
        let version = VERSIONS.fetch_add(1, Ordering::Relaxed);
        let decides = PURPOSES.map(|purpose| decides(purpose, modes));
        Texts { reader, prohibited, templates, is_asked, decides, version }
    }

    /// What texts are read with, for the journal: the digest of the weights, and each list with its
    /// version.
    pub fn version(&self) -> String {
        let lists = self.prohibited.lists().map(|(file, version)| format!(", {file} {version}"));
        format!("weights {}{}", self.reader.digest(), lists.collect::<String>())
    }

    /// The classifier.
    pub fn reader(&self) -> &Arc<Reader> {
        &self.reader
    }

    /// The lists of prohibited words.
    pub fn prohibited(&self) -> &Prohibited {
        &self.prohibited
    }

    /// The templates of a code.
    pub fn templates(&self, code: CodeId) -> Option<&CodeTemplates> {
        self.templates.get(code.0 as usize)
    }

    /// Whether any rule asks for the text.
    pub fn is_asked(&self) -> bool {
        self.is_asked
    }

    /// Whether the text may decide what becomes of a message from that sender: where it does not, one part
    /// of it is judged as all of it would be.
    pub fn decides(&self, facts: &Facts<'_>) -> bool {
        let purpose = match facts.allotment {
            Allotment::Code(_, code) => code.purpose,
            Allotment::None | Allotment::Alphanumeric(_) => Purpose::Mixed,
        };
        PURPOSES.iter().zip(self.decides).any(|(one, decides)| *one == purpose && decides)
    }

    /// Reads the body of a message of its own, whose sender is known. A body without a header is
    /// remembered.
    pub fn hear(
        &self,
        facts: &Facts<'_>,
        octets: &[u8],
        form: Form,
        options: text::Options,
        desk: &mut Desk,
    ) -> Heard {
        if !self.is_asked || octets.is_empty() {
            return Heard::default();
        }
        if form.has_header {
            return self.listen(facts, octets, form, options, desk);
        }
        let code = match facts.allotment {
            Allotment::Code(found, _) => Some(found.code),
            Allotment::None | Allotment::Alphanumeric(_) => None,
        };
        let data_coding = form.data_coding;
        let circumstances = Circumstances { version: self.version, code, data_coding, options };
        let mut heards = std::mem::take(&mut desk.heards);
        let hear = || self.listen(facts, octets, form, options, desk);
        let heard = heards.recall(circumstances, octets, hear);
        desk.heards = heards;
        heard
    }

    fn listen(
        &self,
        facts: &Facts<'_>,
        octets: &[u8],
        form: Form,
        options: text::Options,
        desk: &mut Desk,
    ) -> Heard {
        let mut text = std::mem::take(&mut desk.text);
        text.clear();
        let read = Body::split(octets, form.has_header)
            .and_then(|body| text::decode(body, form.data_coding, options, &mut text));
        let heard = match read {
            Ok(_) => self.said(facts, &text, true, desk),
            Err(why) => Heard { text: unread(why), keyword: None },
        };
        desk.text = text;
        heard
    }

    /// The registry decides first: what a commercial code sends is commercial, and a registered
    /// template is what it was registered as. The classifier reads the rest.
    fn class(
        &self,
        text: &str,
        code: Option<&Code>,
        template: Option<bool>,
        scratch: &mut content::Scratch,
    ) -> Class {
        match (code.map(|code| code.purpose), template) {
            (Some(Purpose::Commercial), _) => Class::Commercial,
            (Some(Purpose::Public), Some(true)) => Class::Public,
            (_, Some(true)) => Class::Service(Kind::Notification),
            _ => self.reader.class(text, scratch),
        }
    }

    /// What a decoded text says, by the code that it is sent from.
    pub fn said(&self, facts: &Facts<'_>, text: &str, is_whole: bool, desk: &mut Desk) -> Heard {
        let (code, templates) = match facts.allotment {
            Allotment::Code(found, code) => (Some(code), self.templates(found.code)),
            Allotment::None | Allotment::Alphanumeric(_) => (None, None),
        };
        let is_one = |of: &Option<Arc<Templates>>, normal: &mut content::Normal| {
            of.as_ref().map(|templates| templates.matches(text, normal).is_some())
        };
        let normal = &mut desk.normal;
        let asks = templates.and_then(|of| is_one(&of.requests, normal)).unwrap_or(false);
        // A beginning is none of the templates yet, and may still become one.
        let template = templates.and_then(|of| is_one(&of.service, normal));
        let template = template.filter(|is_one| *is_one || is_whole);
        let mut said = Said {
            class: self.class(text, code, template, &mut desk.reading),
            template,
            asks,
            signed: signed(text, code),
            tells_how_to_refuse: false,
            is_listed: self.prohibited.find(text, normal).is_some(),
            is_whole,
        };
        let counts_as = nature(&Facts { text: Text::Said(said), ..*facts });
        let mut keyword = None;
        if counts_as == Nature::Commercial
            && let Some(found) = notice(text, normal)
        {
            said.tells_how_to_refuse = true;
            keyword = found.keyword;
        }
        Heard { text: Text::Said(said), keyword }
    }
}

/// What the rules know of a body that is no text.
pub fn unread(why: Undecodable) -> Text {
    match why {
        Undecodable::Binary => Text::Binary,
        _ => Text::Undecodable,
    }
}

/// How a body is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// data_coding (SMPP 3.4 5.2.19).
    pub data_coding: u8,
    /// Whether it begins with a user data header.
    pub has_header: bool,
}

fn signed(text: &str, code: Option<&Code>) -> Signed {
    match signatures(text).signed() {
        content::Signed::None => Signed::None,
        content::Signed::Several => Signed::Several,
        content::Signed::Elsewhere(_) => Signed::Elsewhere,
        content::Signed::One(one) => {
            let registered = code.map_or(&[][..], |code| &code.signatures);
            let is_own = |name: &String| same_name(name, one.name);
            if registered.is_empty() || registered.iter().any(is_own) {
                Signed::Registered
            } else {
                Signed::Unregistered
            }
        }
    }
}
