//! The rules in their order, and what they come to.
//!
//! The order is fixed: provider, source, code, destination, body, form, purpose, public, recipients, consent, schedule, notice,
//! signature, content; the ledger and the rate last, so that a legal refusal is never hidden behind one that an ESME
//! retries. `decide` and `trace` walk the
//! same two tables.

use super::{
    BindFacts, Facts, Mode, Modes, Reason, Rule, body, code, consent, destination, earlier, form,
    parts, provider, public, rate, recipients, schedule, signature, source, text,
};

type Judge<F> = fn(&F) -> Option<Reason>;

/// What a bind is asked, in order.
fn bind_rules<'a>() -> [(Rule, Judge<BindFacts<'a>>); 5] {
    [
        (Rule::ProviderUnknown, provider::bind_unknown),
        (Rule::ProviderLicence, provider::bind_licence),
        (Rule::ProviderLocation, provider::bind_location),
        (Rule::ProviderCertificate, provider::bind_certificate),
        (Rule::RateExceeded, rate::bind_sessions),
    ]
}

/// What a message is asked, in order.
fn message_rules<'a>() -> [(Rule, Judge<Facts<'a>>); 39] {
    [
        (Rule::ProviderUnknown, provider::unknown),
        (Rule::ProviderLicence, provider::licence),
        (Rule::ProviderIdentity, provider::identity),
        (Rule::SourceMissing, source::missing),
        (Rule::SourceMalformed, source::malformed),
        (Rule::SourceForged, source::forged),
        (Rule::SourceSecond, source::second),
        (Rule::CodeLength, code::length),
        (Rule::CodeRegion, code::region),
        (Rule::EarlierUnknown, earlier::unknown),
        (Rule::DestinationMalformed, destination::malformed),
        (Rule::DestinationList, destination::list),
        (Rule::BodyAmbiguous, body::ambiguous),
        (Rule::BodyStored, body::stored),
        (Rule::BodyEmpty, body::empty),
        (Rule::FormReplacing, form::replacing),
        (Rule::FormService, form::service),
        (Rule::FormProtocol, form::protocol),
        (Rule::FormMode, form::mode),
        (Rule::FormProgram, form::program),
        (Rule::FormBinary, form::binary),
        (Rule::PartsMalformed, parts::malformed),
        (Rule::PartsLimit, parts::limit),
        (Rule::ContentUndecodable, text::undecodable),
        (Rule::CodePurpose, code::purpose),
        (Rule::PublicUnfiled, public::unfiled),
        (Rule::RecipientsSwept, recipients::swept),
        (Rule::ConsentMissing, consent::missing),
        (Rule::ConsentRevoked, consent::revoked),
        (Rule::ConsentExpired, consent::expired),
        (Rule::ConsentRepeat, consent::repeat),
        (Rule::ScheduleBeyond, schedule::beyond),
        (Rule::NoticeMissing, text::notice_missing),
        (Rule::FormDisplay, form::display),
        (Rule::SignatureMissing, signature::missing),
        (Rule::SignatureUnregistered, signature::unregistered),
        (Rule::ContentProhibited, text::prohibited),
        (Rule::LedgerUnavailable, consent::unavailable),
        (Rule::RateExceeded, rate::exceeded),
    ]
}

/// What an operation on an earlier message is asked, in order: whose message it is.
fn operation_rules<'a>() -> [(Rule, Judge<Facts<'a>>); 9] {
    [
        (Rule::ProviderUnknown, provider::unknown),
        (Rule::ProviderLicence, provider::licence),
        (Rule::ProviderIdentity, provider::identity),
        (Rule::SourceMissing, source::missing),
        (Rule::SourceMalformed, source::malformed),
        (Rule::SourceForged, source::forged),
        (Rule::CodeLength, code::length),
        (Rule::EarlierUnknown, earlier::unknown),
        (Rule::CodePurpose, code::broadcast),
    ]
}

/// What the rules came to. No refusal means: pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The first hit of an enforced rule.
    pub refused: Option<Reason>,
    /// The hits of observed rules before it.
    pub observed: Observed,
}

/// Hits of observed rules: what would have been refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Bit n: the rule numbered n.
    rules: u64,
    first: Option<Reason>,
}

impl Observed {
    fn add(&mut self, reason: Reason) {
        self.rules |= 1 << reason.rule().code();
        self.first = self.first.or(Some(reason));
    }

    /// The first hit, which the record names.
    pub fn first(&self) -> Option<Reason> {
        self.first
    }

    /// Whether nothing was hit.
    pub fn is_empty(&self) -> bool {
        self.rules == 0
    }

    /// Whether that rule was hit.
    pub fn contains(&self, rule: Rule) -> bool {
        self.rules & 1 << rule.code() != 0
    }

    /// The rules that were hit, by number.
    pub fn rules(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.into_iter().filter(move |rule| self.contains(*rule))
    }

    /// Bit n: the rule numbered n.
    pub fn bits(self) -> u64 {
        self.rules
    }
}

/// What one rule found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The rule.
    pub rule: Rule,
    /// Its mode.
    pub mode: Mode,
    /// What came of it.
    pub looked: Looked,
}

/// What came of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// It is off.
    Off,
    /// It has nothing against the message.
    Clear,
    /// It fired: refused under `Enforce`, recorded under `Observe` and where it only notes.
    Fired(Reason),
    /// An earlier rule had refused already.
    Unreached,
}

/// Judges one message. Total, pure, allocates nothing.
pub fn decide(facts: &Facts<'_>, modes: &Modes) -> Decision {
    walk(&message_rules(), facts, modes)
}

/// Judges a query or a cancellation by the sender that it names: nobody asks after, or takes back,
/// another provider's message. Total, pure, allocates nothing.
pub fn decide_operation(facts: &Facts<'_>, modes: &Modes) -> Decision {
    walk(&operation_rules(), facts, modes)
}

/// Judges one bind. Total, pure, allocates nothing.
pub fn decide_bind(facts: &BindFacts<'_>, modes: &Modes) -> Decision {
    walk(&bind_rules(), facts, modes)
}

/// What each rule found on the way to [`decide`]'s decision, in order. For `explain`: allocates.
pub fn trace(facts: &Facts<'_>, modes: &Modes) -> Vec<Look> {
    looks(&message_rules(), facts, modes)
}

/// What each rule found on the way to [`decide_bind`]'s decision, in order.
pub fn trace_bind(facts: &BindFacts<'_>, modes: &Modes) -> Vec<Look> {
    looks(&bind_rules(), facts, modes)
}

fn walk<F>(rules: &[(Rule, Judge<F>)], facts: &F, modes: &Modes) -> Decision {
    let mut decision = Decision::default();
    for (rule, judge) in rules {
        let mode = modes.of(*rule);
        if mode == Mode::Off {
            continue;
        }
        if let Some(reason) = judge(facts) {
            if mode == Mode::Enforce && !reason.is_noted() {
                decision.refused = Some(reason);
                break;
            }
            decision.observed.add(reason);
        }
    }
    decision
}

fn looks<F>(rules: &[(Rule, Judge<F>)], facts: &F, modes: &Modes) -> Vec<Look> {
    let mut refused = false;
    let mut looks = Vec::with_capacity(rules.len());
    for (rule, judge) in rules {
        let mode = modes.of(*rule);
        let looked = match mode {
            _ if refused => Looked::Unreached,
            Mode::Off => Looked::Off,
            Mode::Enforce | Mode::Observe => judge(facts).map_or(Looked::Clear, Looked::Fired),
        };
        let refuses = matches!(looked, Looked::Fired(reason) if !reason.is_noted());
        refused |= mode == Mode::Enforce && refuses;
        looks.push(Look { rule: *rule, mode, looked });
    }
    looks
}
