//! The fine cause inside a rule: what a status hangs on.

use super::Rule;

macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident => $rule:ident, $detail:literal;)+) => {
        /// Why a rule refuses. Each belongs to one rule; the status of a refusal hangs on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $detail] $reason,)+
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$reason,)+];

            /// The rule it belongs to.
            pub fn rule(self) -> Rule {
                match self {
                    $(Self::$reason => Rule::$rule,)+
                }
            }

            /// One sentence that tells the sender's operator what was wrong.
            pub fn detail(self) -> &'static str {
                match self {
                    $(Self::$reason => $detail,)+
                }
            }
        }
    };
}

reasons! {
    BindUnknown => ProviderUnknown, "The bind's system_id is not registered.";
    BindLicence => ProviderLicence, "At the bind the provider's licence is not in force.";
    BindLocation => ProviderLocation, "The bind comes from outside the provider's networks.";
    BindCertificate => ProviderCertificate, "The bind comes without a certificate of the provider's.";
    ProviderUnknown => ProviderUnknown, "The message comes over a bind of no registered provider.";
    ProviderLicence => ProviderLicence, "At the message the provider's licence is not in force.";
    ProviderIdentity => ProviderIdentity, "The provider's identity is not verified.";
    SourceMissing => SourceMissing, "source_addr is empty or blank.";
    SourceMalformed => SourceMalformed, "source_addr is no code and no number of the plan.";
    SourceTon => SourceMalformed, "source_addr_ton is unknown or contradicts source_addr.";
    SourceNpi => SourceMalformed, "source_addr_npi is unknown or contradicts source_addr.";
    SourceForged => SourceForged, "source_addr is not allotted to this provider.";
    CallbackNumber => SourceSecond, "callback_num names another sender.";
    SourceSubaddress => SourceSecond, "source_subaddress names another sender.";
    ReplyAddress => SourceSecond, "A reply address element in the user data names another sender.";
    ReplyPath => SourceSecond, "esm_class asks for a reply path, past the sender.";
    SenderStripped => SourceSecond, "Another sender: it goes on without those parameters.";
    CodeLength => CodeLength, "source_addr has more digits than the code was allotted with.";
    CodeRegion => CodeRegion, "The recipient is outside the code's regions.";
    CodePurpose => CodePurpose, "The text advertises, and the code may not.";
    CodeBroadcast => CodePurpose, "The code may not address everybody in an area.";
    CodeTemplate => CodePurpose, "The text is none of the templates registered for the code.";
    DestinationMissing => DestinationMalformed, "destination_addr is empty or blank.";
    DestinationMalformed => DestinationMalformed, "destination_addr is no subscriber's number.";
    DestinationTon => DestinationMalformed, "dest_addr_ton is unknown or contradicts the address.";
    DestinationNpi => DestinationMalformed, "dest_addr_npi is unknown or contradicts the address.";
    EarlierUnknown => EarlierUnknown, "No message of this provider's is known by that message_id.";
    DestinationList => DestinationList, "A distribution list: name each recipient instead.";
    BodyAmbiguous => BodyAmbiguous, "short_message and message_payload are both there.";
    BodyStored => BodyStored, "sm_default_msg_id sends a text of the SMSC that nobody judged.";
    BodyEmpty => BodyEmpty, "short_message and message_payload are both empty.";
    FormReplacesWaiting => FormReplacing, "replace_if_present_flag puts the text in place of another.";
    FormReplacesShown => FormReplacing, "protocol_id puts the text in place of one in the handset.";
    FormService => FormService, "service_type is none that the provider may use.";
    FormUssd => FormService, "ussd_service_op makes it a step of a USSD dialogue.";
    FormSilent => FormProtocol, "By its protocol_id the handset shows nothing.";
    FormTelematic => FormProtocol, "protocol_id is none of a text from person to person.";
    FormMode => FormMode, "esm_class asks for datagram or transaction mode.";
    FormType => FormMode, "esm_class calls it a receipt or an acknowledgement.";
    FormPort => FormProgram, "A port makes a program its reader.";
    FormHeader => FormProgram, "A user data header element does more than join parts.";
    FormCard => FormProgram, "protocol_id makes it an instruction to the SIM or the handset.";
    FormSubunit => FormProgram, "A parameter leads it elsewhere than to the screen.";
    FormPayload => FormProgram, "payload_type says that it is no text.";
    FormBinary => FormBinary, "The code may not send eight-bit data.";
    FormFlash => FormDisplay, "data_coding has it shown at once and not kept.";
    FormStored => FormDisplay, "data_coding has it kept in the SIM or behind the handset.";
    FormLamp => FormDisplay, "data_coding lights a message-waiting lamp.";
    FormDisplay => FormDisplay, "A parameter or data_coding changes how it is shown.";
    PartsMalformed => PartsMalformed, "The part cannot be placed, or contradicts another.";
    PartsRefused => PartsMalformed, "Another part of the same message was refused.";
    PartsIncomplete => PartsMalformed, "The other parts of the message did not come in time.";
    PartsEarly => PartsMalformed, "A part came before one that precedes it.";
    PartsTakenBack => PartsMalformed, "Another part is to be sent again, and so is this one.";
    PartsLimit => PartsLimit, "Too many parts, or too many messages that lack parts.";
    ContentUndecodable => ContentUndecodable, "The text cannot be read as the handset will.";
    ContentProhibited => ContentProhibited, "The text holds a listed word or phrase.";
    SignatureMissing => SignatureMissing, "The text bears no 【signature】.";
    SignatureSeveral => SignatureMissing, "The text bears more than one 【signature】.";
    SignatureElsewhere => SignatureMissing, "The 【signature】 stands neither first nor last.";
    SignatureUnregistered => SignatureUnregistered, "The 【signature】 is not this code's.";
    PublicUnfiled => PublicUnfiled, "The code's public-interest messages are not filed.";
    PublicLapsed => PublicUnfiled, "The filing of the code's public-interest messages has run out.";
    PublicEmergency => PublicUnfiled, "An emergency goes at once; it is to be filed afterwards.";
    RecipientsSequence => RecipientsSwept, "The recipients are counted through in equal steps.";
    RecipientsBlock => RecipientsSwept, "Most numbers of the recipient's block were sent to.";
    ConsentRevoked => ConsentRevoked, "The recipient refused messages of this provider.";
    ConsentExpired => ConsentExpired, "The recipient's consent has run out.";
    ConsentMissing => ConsentMissing, "The recipient never consented to this provider.";
    ConsentSilent => ConsentMissing, "The recipient was asked and did not answer: that is a no.";
    ConsentOther => ConsentMissing, "The recipient consented to service messages only.";
    ConsentUnreviewed => ConsentMissing, "The proof of consent has not been reviewed.";
    ConsentUsedUp => ConsentRepeat, "More messages than the recipient was promised.";
    ConsentAskedAgain => ConsentRepeat, "The recipient was asked already; once is all.";
    ScheduleLate => ScheduleBeyond, "schedule_delivery_time is further ahead than consent vouches.";
    ScheduleUnreadable => ScheduleBeyond, "schedule_delivery_time is no time.";
    ValidityLong => ScheduleBeyond, "The validity is longer than consent vouches.";
    ValidityUnreadable => ScheduleBeyond, "validity_period is no time.";
    ScheduleConsentEnds => ScheduleBeyond, "The consent ends before the delivery may.";
    NoticeMissing => NoticeMissing, "The text does not say how to refuse more of them.";
    LedgerUnavailable => LedgerUnavailable, "The consent ledger cannot be asked now.";
    BindSessions => RateExceeded, "The provider has as many sessions as it may have at once.";
    RateExceeded => RateExceeded, "The provider sends more messages a second than agreed.";
    CommandUnknown => CommandRefused, "The command_id is not known.";
    CommandState => CommandRefused, "The command is not allowed in this state of the session.";
    CommandNotCarried => CommandRefused, "The command is known, but the proxy does not carry it.";
    MultiRefused => MultiRefused, "Another recipient of the same submit_multi was refused.";
    PduLength => PduMalformed, "command_length is out of bounds or contradicts the content.";
    PduField => PduMalformed, "A mandatory field is overlong, unterminated or out of range.";
    PduParameter => PduMalformed, "An optional parameter is malformed or stands there twice.";
    AuditUnavailable => AuditUnavailable, "The journal takes no record now.";
    SessionDraining => SessionDraining, "The proxy is shutting down.";
}

impl Reason {
    /// Whether it is only put on record, whatever the mode: the message goes on.
    pub fn is_noted(self) -> bool {
        matches!(self, Self::PublicEmergency | Self::SenderStripped)
    }
}
