//! Which command_status answers which refusal.
//!
//! A refusal by law never uses a status that ESMEs retry: sent again it would be refused again, and
//! the ESME's operator would see a network fault where there is a legal one.

use super::knowledge::StatusStyle;
use crate::policy::{Reason, Rule};
use crate::smpp::CommandStatus;

/// The status of every reason: the style's own, or what the operator set for the rule.
#[derive(Debug, Clone)]
pub struct Statuses {
    by_reason: [CommandStatus; Reason::ALL.len()],
}

impl Statuses {
    /// The statuses of a style.
    pub fn new(style: StatusStyle) -> Statuses {
        let mut by_reason = [CommandStatus::ESME_RSYSERR; Reason::ALL.len()];
        for (slot, &reason) in by_reason.iter_mut().zip(Reason::ALL) {
            *slot = match style {
                StatusStyle::Compatible => compatible(reason),
                StatusStyle::Precise => precise(reason).unwrap_or(compatible(reason)),
            };
        }
        Statuses { by_reason }
    }

    /// Sets one status for all reasons of a rule.
    pub fn set(&mut self, rule: Rule, status: CommandStatus) {
        for (slot, &reason) in self.by_reason.iter_mut().zip(Reason::ALL) {
            if reason.rule() == rule {
                *slot = status;
            }
        }
    }

    /// What a refusal for this reason answers.
    pub fn of(&self, reason: Reason) -> CommandStatus {
        self.by_reason.get(reason as usize).copied().unwrap_or(CommandStatus::ESME_RSYSERR)
    }
}

fn compatible(reason: Reason) -> CommandStatus {
    match reason {
        Reason::BindUnknown => CommandStatus::ESME_RINVSYSID,
        Reason::BindLicence | Reason::BindLocation | Reason::BindCertificate => {
            CommandStatus::ESME_RBINDFAIL
        }
        Reason::ProviderUnknown | Reason::ProviderLicence | Reason::ProviderIdentity => {
            CommandStatus::ESME_RSUBMITFAIL
        }
        Reason::SourceMissing | Reason::SourceMalformed | Reason::SourceForged => {
            CommandStatus::ESME_RINVSRCADR
        }
        Reason::SourceTon => CommandStatus::ESME_RINVSRCTON,
        Reason::SourceNpi => CommandStatus::ESME_RINVSRCNPI,
        Reason::CallbackNumber
        | Reason::SourceSubaddress
        | Reason::ReplyAddress
        | Reason::ReplyPath
        | Reason::SenderStripped
        | Reason::BodyAmbiguous => CommandStatus::ESME_ROPTPARNOTALLWD,
        Reason::CodeLength => CommandStatus::ESME_RINVSRCADR,
        Reason::BodyEmpty => CommandStatus::ESME_RINVMSGLEN,
        Reason::PartsMalformed | Reason::PartsRefused | Reason::PartsEarly | Reason::PartsLimit => {
            CommandStatus::ESME_RINVESMCLASS
        }
        Reason::BodyStored => CommandStatus::ESME_RINVDFTMSGID,
        Reason::ScheduleLate | Reason::ScheduleUnreadable => CommandStatus::ESME_RINVSCHED,
        Reason::ValidityLong | Reason::ValidityUnreadable | Reason::ScheduleConsentEnds => {
            CommandStatus::ESME_RINVEXPIRY
        }
        Reason::FormReplacesWaiting => CommandStatus::ESME_RINVSUBREP,
        Reason::FormService => CommandStatus::ESME_RINVSERTYP,
        Reason::FormUssd | Reason::FormSubunit | Reason::FormPort => {
            CommandStatus::ESME_ROPTPARNOTALLWD
        }
        Reason::FormPayload => CommandStatus::ESME_RINVOPTPARAMVAL,
        Reason::FormMode | Reason::FormType | Reason::FormHeader => {
            CommandStatus::ESME_RINVESMCLASS
        }
        Reason::FormReplacesShown
        | Reason::FormSilent
        | Reason::FormTelematic
        | Reason::FormCard
        | Reason::FormBinary
        | Reason::FormFlash
        | Reason::FormStored
        | Reason::FormLamp
        | Reason::FormDisplay => CommandStatus::ESME_RSUBMITFAIL,
        // The one refusal of parts that is no fault of their form: it is to be seen as a message that failed.
        Reason::PartsIncomplete
        | Reason::CodePurpose
        | Reason::CodeTemplate
        | Reason::ContentUndecodable
        | Reason::ContentProhibited
        | Reason::SignatureMissing
        | Reason::SignatureSeveral
        | Reason::SignatureElsewhere
        | Reason::SignatureUnregistered
        | Reason::PublicUnfiled
        | Reason::PublicLapsed
        | Reason::PublicEmergency
        | Reason::RecipientsSequence
        | Reason::RecipientsBlock
        | Reason::ConsentRevoked
        | Reason::ConsentExpired
        | Reason::ConsentMissing
        | Reason::ConsentSilent
        | Reason::ConsentOther
        | Reason::ConsentUnreviewed
        | Reason::ConsentUsedUp
        | Reason::ConsentAskedAgain
        | Reason::MultiRefused
        | Reason::NoticeMissing => CommandStatus::ESME_RSUBMITFAIL,
        Reason::CodeRegion | Reason::DestinationMissing | Reason::DestinationMalformed => {
            CommandStatus::ESME_RINVDSTADR
        }
        Reason::DestinationList => CommandStatus::ESME_RCNTSUBDL,
        Reason::EarlierUnknown => CommandStatus::ESME_RINVMSGID,
        Reason::CodeBroadcast => CommandStatus::ESME_RPROHIBITED,
        Reason::DestinationTon => CommandStatus::ESME_RINVDSTTON,
        Reason::DestinationNpi => CommandStatus::ESME_RINVDSTNPI,
        Reason::RateExceeded | Reason::BindSessions | Reason::PartsTakenBack => {
            CommandStatus::ESME_RTHROTTLED
        }
        Reason::CommandUnknown | Reason::CommandNotCarried => CommandStatus::ESME_RINVCMDID,
        Reason::CommandState => CommandStatus::ESME_RINVBNDSTS,
        Reason::PduLength | Reason::PduField | Reason::PduParameter => {
            CommandStatus::ESME_RINVCMDLEN
        }
        Reason::AuditUnavailable | Reason::LedgerUnavailable => CommandStatus::ESME_RMSGQFUL,
        Reason::SessionDraining => CommandStatus::ESME_RTHROTTLED,
    }
}

/// Codes of the vendor range that name the cause; none where SMPP has an exact status itself.
fn precise(reason: Reason) -> Option<CommandStatus> {
    Some(CommandStatus(match reason {
        Reason::SourceMissing => 0x0401,
        Reason::SourceForged => 0x0402,
        Reason::CodeRegion => 0x0403,
        Reason::BindLicence | Reason::ProviderLicence => 0x0404,
        Reason::SourceMalformed => 0x0405,
        Reason::CodeLength => 0x0406,
        Reason::CallbackNumber
        | Reason::SourceSubaddress
        | Reason::ReplyAddress
        | Reason::ReplyPath
        | Reason::SenderStripped => 0x0407,
        Reason::ProviderUnknown => 0x0408,
        Reason::ProviderIdentity => 0x0409,
        Reason::BindLocation => 0x040a,
        Reason::BindCertificate => 0x040b,
        Reason::ConsentMissing | Reason::ConsentSilent | Reason::ConsentOther => 0x0410,
        Reason::ConsentRevoked => 0x0411,
        Reason::ConsentExpired => 0x0412,
        Reason::ConsentUnreviewed => 0x0413,
        Reason::ConsentAskedAgain => 0x0414,
        Reason::ConsentUsedUp => 0x0415,
        Reason::ScheduleConsentEnds => 0x0417,
        Reason::RecipientsSequence | Reason::RecipientsBlock => 0x0416,
        Reason::PublicUnfiled | Reason::PublicLapsed | Reason::PublicEmergency => 0x0418,
        Reason::NoticeMissing => 0x0420,
        Reason::SignatureMissing | Reason::SignatureSeveral | Reason::SignatureElsewhere => 0x0421,
        Reason::SignatureUnregistered => 0x0422,
        Reason::CodePurpose => 0x0423,
        Reason::CodeTemplate => 0x0424,
        Reason::ContentProhibited => 0x0425,
        Reason::ContentUndecodable => 0x0426,
        Reason::BodyStored => 0x042a,
        Reason::FormReplacesShown => 0x042b,
        Reason::FormSilent | Reason::FormTelematic => 0x042c,
        Reason::FormCard => 0x042e,
        Reason::FormBinary => 0x042f,
        Reason::FormFlash | Reason::FormStored | Reason::FormLamp | Reason::FormDisplay => 0x0430,
        Reason::BodyAmbiguous => 0x0427,
        Reason::PartsMalformed | Reason::PartsRefused | Reason::PartsEarly => 0x0428,
        Reason::PartsLimit => 0x0429,
        Reason::PartsIncomplete => 0x042d,
        Reason::BindUnknown
        | Reason::SourceTon
        | Reason::SourceNpi
        | Reason::ScheduleLate
        | Reason::ScheduleUnreadable
        | Reason::ValidityLong
        | Reason::ValidityUnreadable
        | Reason::FormReplacesWaiting
        | Reason::FormService
        | Reason::FormUssd
        | Reason::FormMode
        | Reason::FormType
        | Reason::FormPort
        | Reason::FormHeader
        | Reason::FormSubunit
        | Reason::FormPayload
        | Reason::DestinationMissing
        | Reason::DestinationMalformed
        | Reason::DestinationTon
        | Reason::DestinationList
        | Reason::EarlierUnknown
        | Reason::CodeBroadcast
        | Reason::MultiRefused
        | Reason::DestinationNpi
        | Reason::RateExceeded
        | Reason::BindSessions
        | Reason::CommandUnknown
        | Reason::CommandState
        | Reason::CommandNotCarried
        | Reason::PduLength
        | Reason::PduField
        | Reason::PduParameter
        | Reason::AuditUnavailable
        | Reason::BodyEmpty
        | Reason::LedgerUnavailable
        | Reason::PartsTakenBack
        | Reason::SessionDraining => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_sent_again_answers_with_a_status_that_is_retried() {
        for style in [StatusStyle::Compatible, StatusStyle::Precise] {
            let statuses = Statuses::new(style);
            for &reason in Reason::ALL {
                let again = matches!(
                    reason.rule(),
                    Rule::RateExceeded
                        | Rule::AuditUnavailable
                        | Rule::LedgerUnavailable
                        | Rule::SessionDraining
                ) || reason == Reason::PartsTakenBack;
                let status = statuses.of(reason);
                assert_eq!(status.is_retried(), again, "{reason:?} answers {status}");
                assert!(!status.is_ok());
                let own = (0x0401..=0x0430).contains(&status.0);
                assert!(status.name().is_some() || own, "{reason:?} answers {status}");
            }
        }
    }

    #[test]
    fn a_status_of_our_own_means_one_rule() {
        let statuses = Statuses::new(StatusStyle::Precise);
        for &one in Reason::ALL {
            for &other in Reason::ALL {
                let same = statuses.of(one) == statuses.of(other);
                let ours = statuses.of(one).name().is_none();
                assert!(!(same && ours) || one.rule() == other.rule(), "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn a_rule_that_is_set_answers_the_same_for_all_its_reasons() {
        let mut statuses = Statuses::new(StatusStyle::Precise);
        statuses.set(Rule::SourceMalformed, CommandStatus::ESME_RSUBMITFAIL);
        assert_eq!(statuses.of(Reason::SourceTon), CommandStatus::ESME_RSUBMITFAIL);
        assert_eq!(statuses.of(Reason::SourceForged), CommandStatus(0x0402));
    }
}
