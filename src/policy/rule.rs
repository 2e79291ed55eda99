//! The rules: stable names, stable numbers, and the articles they rest on.

/// The version of the law that verdicts name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuleSet {
    /// The consultation draft of 2014.
    CnDraft2014,
    /// MIIT Order 31 (2015).
    CnOrder31_2015,
    /// MIIT Order 74 (2026), in force since 2026-05-01. Its full text was not at hand: what we
    /// know of it is from secondary sources, and its article numbers are not verified.
    #[default]
    CnOrder74_2026,
}

impl RuleSet {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::CnDraft2014, Self::CnOrder31_2015, Self::CnOrder74_2026];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::CnDraft2014 => "cn-draft-2014",
            Self::CnOrder31_2015 => "cn-order31-2015",
            Self::CnOrder74_2026 => "cn-order74-2026",
        }
    }

    /// The rule set of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }
}

/// A rule. The number of each is what the journal stores: a number is never given to another
/// rule, not even when its rule is gone. 0 means "no rule" there; numbers stay below 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Rule {
    /// `provider.unknown`, 1.
    ProviderUnknown = 1,
    /// `provider.licence`, 2.
    ProviderLicence = 2,
    /// `provider.location`, 3.
    ProviderLocation = 3,
    /// `provider.identity`, 4.
    ProviderIdentity = 4,
    /// `source.missing`, 5.
    SourceMissing = 5,
    /// `source.malformed`, 6.
    SourceMalformed = 6,
    /// `source.forged`, 7.
    SourceForged = 7,
    /// `source.second`, 8.
    SourceSecond = 8,
    /// `code.length`, 9.
    CodeLength = 9,
    /// `code.region`, 10.
    CodeRegion = 10,
    /// `destination.malformed`, 11.
    DestinationMalformed = 11,
    /// `body.ambiguous`, 12.
    BodyAmbiguous = 12,
    /// `command.refused`, 13.
    CommandRefused = 13,
    /// `pdu.malformed`, 14.
    PduMalformed = 14,
    /// `rate.exceeded`, 15.
    RateExceeded = 15,
    /// `audit.unavailable`, 16.
    AuditUnavailable = 16,
    /// `session.draining`, 17.
    SessionDraining = 17,
    /// `code.purpose`, 18.
    CodePurpose = 18,
    /// `consent.missing`, 19.
    ConsentMissing = 19,
    /// `consent.revoked`, 20.
    ConsentRevoked = 20,
    /// `consent.expired`, 21.
    ConsentExpired = 21,
    /// `consent.repeat`, 22.
    ConsentRepeat = 22,
    /// `notice.missing`, 23.
    NoticeMissing = 23,
    /// `signature.missing`, 24.
    SignatureMissing = 24,
    /// `signature.unregistered`, 25.
    SignatureUnregistered = 25,
    /// `content.prohibited`, 26.
    ContentProhibited = 26,
    /// `content.undecodable`, 27.
    ContentUndecodable = 27,
    /// `body.empty`, 28.
    BodyEmpty = 28,
    /// `body.stored`, 29.
    BodyStored = 29,
    /// `ledger.unavailable`, 30.
    LedgerUnavailable = 30,
    /// `parts.malformed`, 31.
    PartsMalformed = 31,
    /// `parts.limit`, 32.
    PartsLimit = 32,
    /// `form.replacing`, 33.
    FormReplacing = 33,
    /// `form.service`, 34.
    FormService = 34,
    /// `form.protocol`, 35.
    FormProtocol = 35,
    /// `form.mode`, 36.
    FormMode = 36,
    /// `form.program`, 37.
    FormProgram = 37,
    /// `form.binary`, 38.
    FormBinary = 38,
    /// `form.display`, 39.
    FormDisplay = 39,
    /// `schedule.beyond`, 40.
    ScheduleBeyond = 40,
    /// `recipients.swept`, 41.
    RecipientsSwept = 41,
    /// `public.unfiled`, 42.
    PublicUnfiled = 42,
    /// `destination.list`, 43.
    DestinationList = 43,
    /// `multi.refused`, 44.
    MultiRefused = 44,
    /// `earlier.unknown`, 45.
    EarlierUnknown = 45,
    /// `provider.certificate`, 46.
    ProviderCertificate = 46,
}

/// One article in each text that has been read; Order 74 is built from Order 31's.
macro_rules! article {
    ($set:expr, $draft:literal, $order31:literal) => {
        match $set {
            RuleSet::CnDraft2014 => concat!("draft 2014 art. ", $draft),
            RuleSet::CnOrder31_2015 => concat!("Order 31 art. ", $order31),
            RuleSet::CnOrder74_2026 => {
                concat!("Order 74 (article number not verified; Order 31 art. ", $order31, ")")
            }
        }
    };
}

impl Rule {
    /// All rules, by number.
    pub const ALL: [Self; 46] = [
        Self::ProviderUnknown,
        Self::ProviderLicence,
        Self::ProviderLocation,
        Self::ProviderIdentity,
        Self::SourceMissing,
        Self::SourceMalformed,
        Self::SourceForged,
        Self::SourceSecond,
        Self::CodeLength,
        Self::CodeRegion,
        Self::DestinationMalformed,
        Self::BodyAmbiguous,
        Self::CommandRefused,
        Self::PduMalformed,
        Self::RateExceeded,
        Self::AuditUnavailable,
        Self::SessionDraining,
        Self::CodePurpose,
        Self::ConsentMissing,
        Self::ConsentRevoked,
        Self::ConsentExpired,
        Self::ConsentRepeat,
        Self::NoticeMissing,
        Self::SignatureMissing,
        Self::SignatureUnregistered,
        Self::ContentProhibited,
        Self::ContentUndecodable,
        Self::BodyEmpty,
        Self::BodyStored,
        Self::LedgerUnavailable,
        Self::PartsMalformed,
        Self::PartsLimit,
        Self::FormReplacing,
        Self::FormService,
        Self::FormProtocol,
        Self::FormMode,
        Self::FormProgram,
        Self::FormBinary,
        Self::FormDisplay,
        Self::ScheduleBeyond,
        Self::RecipientsSwept,
        Self::PublicUnfiled,
        Self::DestinationList,
        Self::MultiRefused,
        Self::EarlierUnknown,
        Self::ProviderCertificate,
    ];

    /// Its name in configuration, records and metrics: stable.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProviderUnknown => "provider.unknown",
            Self::ProviderLicence => "provider.licence",
            Self::ProviderLocation => "provider.location",
            Self::ProviderCertificate => "provider.certificate",
            Self::ProviderIdentity => "provider.identity",
            Self::SourceMissing => "source.missing",
            Self::SourceMalformed => "source.malformed",
            Self::SourceForged => "source.forged",
            Self::SourceSecond => "source.second",
            Self::CodeLength => "code.length",
            Self::CodeRegion => "code.region",
            Self::DestinationMalformed => "destination.malformed",
            Self::BodyAmbiguous => "body.ambiguous",
            Self::CommandRefused => "command.refused",
            Self::PduMalformed => "pdu.malformed",
            Self::RateExceeded => "rate.exceeded",
            Self::AuditUnavailable => "audit.unavailable",
            Self::SessionDraining => "session.draining",
            Self::CodePurpose => "code.purpose",
            Self::ConsentMissing => "consent.missing",
            Self::ConsentRevoked => "consent.revoked",
            Self::ConsentExpired => "consent.expired",
            Self::ConsentRepeat => "consent.repeat",
            Self::NoticeMissing => "notice.missing",
            Self::SignatureMissing => "signature.missing",
            Self::SignatureUnregistered => "signature.unregistered",
            Self::ContentProhibited => "content.prohibited",
            Self::ContentUndecodable => "content.undecodable",
            Self::BodyEmpty => "body.empty",
            Self::BodyStored => "body.stored",
            Self::LedgerUnavailable => "ledger.unavailable",
            Self::PartsMalformed => "parts.malformed",
            Self::PartsLimit => "parts.limit",
            Self::FormReplacing => "form.replacing",
            Self::FormService => "form.service",
            Self::FormProtocol => "form.protocol",
            Self::FormMode => "form.mode",
            Self::FormProgram => "form.program",
            Self::FormBinary => "form.binary",
            Self::FormDisplay => "form.display",
            Self::ScheduleBeyond => "schedule.beyond",
            Self::EarlierUnknown => "earlier.unknown",
            Self::RecipientsSwept => "recipients.swept",
            Self::PublicUnfiled => "public.unfiled",
            Self::DestinationList => "destination.list",
            Self::MultiRefused => "multi.refused",
        }
    }

    /// The rule of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }

    /// Its number in the journal: stable, 1 to 63.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The rule of that number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.code() == code)
    }

    /// What it rests on: an article of law, or a clause of the specification.
    pub fn article(self, set: RuleSet) -> &'static str {
        match self {
            Self::ProviderLicence => article!(set, "5", "6"),
            Self::ProviderUnknown | Self::ProviderLocation | Self::ProviderCertificate => {
                article!(set, "6", "7")
            }
            Self::ProviderIdentity => article!(set, "11", "12"),
            Self::SourceMissing
            | Self::SourceMalformed
            | Self::SourceForged
            | Self::EarlierUnknown
            | Self::SourceSecond => article!(set, "9", "10"),
            Self::CodeLength | Self::CodeRegion => article!(set, "12", "13"),
            // The draft says it of ports in general; Order 31 has an article of its own for it.
            Self::CodePurpose => article!(set, "12", "19"),
            Self::ConsentMissing
            | Self::ConsentRevoked
            | Self::ConsentExpired
            | Self::ConsentRepeat
            | Self::ScheduleBeyond
            | Self::LedgerUnavailable => article!(set, "18", "18"),
            // No obstacle: what is gone when it is read, or looks like a voice mail, cannot be refused.
            Self::NoticeMissing | Self::FormDisplay => article!(set, "18", "20"),
            Self::SignatureMissing | Self::SignatureUnregistered => article!(set, "11", "21"),
            Self::ContentProhibited => article!(set, "16", "17"),
            Self::RecipientsSwept => article!(set, "15", "16"),
            // The draft's article did not become one of Order 31's second chapter.
            Self::PublicUnfiled => match set {
                RuleSet::CnDraft2014 => "draft 2014 art. 17",
                RuleSet::CnOrder31_2015 => "Order 31 (no article known; draft 2014 art. 17)",
                RuleSet::CnOrder74_2026 => {
                    "Order 74 (article number not verified; draft 2014 art. 17)"
                }
            },
            // Both numbers and the content must be recorded as they were delivered.
            Self::DestinationMalformed
            | Self::DestinationList
            | Self::BodyAmbiguous
            | Self::BodyEmpty
            | Self::BodyStored
            | Self::ContentUndecodable
            | Self::PartsMalformed
            | Self::PartsLimit
            | Self::FormReplacing
            | Self::FormService
            | Self::FormProtocol
            | Self::FormMode
            | Self::FormProgram
            | Self::FormBinary
            | Self::AuditUnavailable => article!(set, "10", "11"),
            Self::CommandRefused => "SMPP 3.4 5.1.2",
            Self::PduMalformed => "SMPP 3.4 3.2",
            Self::MultiRefused => "SMPP 3.4 4.5.1",
            Self::RateExceeded | Self::SessionDraining => "SMPP 3.4 5.1.3",
        }
    }

    /// One sentence: what it refuses.
    pub fn summary(self) -> &'static str {
        match self {
            Self::ProviderUnknown => "A system_id that no provider is registered with.",
            Self::ProviderLicence => "A provider whose licence is missing, expired or suspended.",
            Self::ProviderLocation => "A bind from a place not registered for the provider.",
            Self::ProviderCertificate => {
                "A bind without a client certificate that is registered for the provider."
            }
            Self::ProviderIdentity => "A sender whose identity has not been verified.",
            Self::SourceMissing => "A message without a source address.",
            Self::SourceMalformed => {
                "A source address that is no valid number or code, or has the wrong TON or NPI."
            }
            Self::SourceForged => "A source address that was not allotted to the provider.",
            Self::SourceSecond => {
                "A message that carries another sender beside its source address."
            }
            Self::CodeLength => "A code with a longer extension than was allotted.",
            Self::CodeRegion => "A recipient outside the region that the code was allotted for.",
            Self::DestinationMalformed => "A destination that is no valid recipient.",
            Self::BodyAmbiguous => "A message with two bodies, of which either may be delivered.",
            Self::CommandRefused => "A command that may not cross the proxy, or not now.",
            Self::PduMalformed => "A PDU that cannot be parsed.",
            Self::RateExceeded => {
                "A message over the provider's rate, or a session more than it may have."
            }
            Self::AuditUnavailable => "A message that cannot be recorded now.",
            Self::SessionDraining => "A request while the proxy shuts down; retry elsewhere.",
            Self::CodePurpose => "A text that the code was not approved for.",
            Self::ConsentMissing => "Advertising to somebody who has not consented to it.",
            Self::ConsentRevoked => "Advertising to somebody who has refused it.",
            Self::ConsentExpired => "Advertising under a consent that has run out.",
            Self::ConsentRepeat => "More than was promised, or asking for consent again.",
            Self::NoticeMissing => "Advertising that does not say how to refuse it.",
            Self::SignatureMissing => "A text that is not signed once, first or last.",
            Self::SignatureUnregistered => "A text under a signature that is not the code's.",
            Self::ContentProhibited => "A text with a listed word or phrase.",
            Self::ContentUndecodable => "A text that cannot be read as the handset will.",
            Self::BodyEmpty => "A message without a text.",
            Self::BodyStored => "A message whose text lies in the SMSC.",
            Self::LedgerUnavailable => "Advertising while the consent ledger cannot be asked.",
            Self::PartsMalformed => "A part that no two receivers put together alike.",
            Self::PartsLimit => "A long message beyond what is held.",
            Self::FormReplacing => "A message that takes the place of another.",
            Self::FormService => "A message of another service than the provider's.",
            Self::FormProtocol => "A message to a machine by its protocol, or that shows nothing.",
            Self::FormMode => "A message in a mode or of a type that no ESME's text has.",
            Self::FormProgram => "A message to a program, a card or equipment instead of a person.",
            Self::FormBinary => "Eight-bit data from a code that may send none.",
            Self::EarlierUnknown => {
                "A request about a message that the provider is not known to have sent."
            }
            Self::DestinationList => "A distribution list, whose recipients only the SMSC knows.",
            Self::MultiRefused => {
                "A recipient of a submit_multi that was refused for another's sake."
            }
            Self::ScheduleBeyond => "Advertising for a time at which consent may have ended.",
            Self::FormDisplay => "Advertising that is shown or kept otherwise than a text.",
            Self::PublicUnfiled => "Public-interest messages that are not filed.",
            Self::RecipientsSwept => "Advertising to numbers that were made up by counting.",
        }
    }

    /// Whether it can be set to observe or off. What cannot be parsed, carried or recorded cannot
    /// be forwarded either, so the rules that say so are always enforced.
    pub fn may_be_observed(self) -> bool {
        !matches!(
            self,
            Self::CommandRefused
                | Self::PduMalformed
                | Self::MultiRefused
                | Self::AuditUnavailable
                | Self::SessionDraining
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_one_to_one_and_stand_still() {
        for (at, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(rule.code()), at + 1);
            assert_eq!(Rule::from_code(rule.code()), Some(rule));
            assert_eq!(Rule::from_name(rule.name()), Some(rule));
            assert!(rule.code() < 64 && rule.summary().ends_with('.'));
        }
        assert_eq!((Rule::from_code(0), Rule::from_code(47)), (None, None));
        assert_eq!(Rule::from_name("source.Forged"), None);
        for set in RuleSet::ALL {
            assert_eq!(RuleSet::from_name(set.name()), Some(set));
        }
    }

    #[test]
    fn order_74_is_never_claimed_as_read() {
        for rule in Rule::ALL {
            let article = rule.article(RuleSet::CnOrder74_2026);
            assert!(article.starts_with("SMPP 3.4 ") || article.contains("not verified"));
        }
        assert_eq!(Rule::SourceForged.article(RuleSet::CnOrder31_2015), "Order 31 art. 10");
        assert_eq!(Rule::SourceForged.article(RuleSet::CnDraft2014), "draft 2014 art. 9");
    }
}
