//! What optional parameters may not be: repeated, of a wrong length, or too many.
//!
//! Peers disagree on a repeated parameter: some take the first, some the last. A message that carries
//! one is two messages, and which of them was judged nobody could say.

use super::cursor::{FieldFault, Malformed};
use super::status::CommandStatus;
use super::tlv::{Tag, Tlv, Tlvs};

/// Most optional parameters of one PDU. SMPP sets no limit; SMPP 5.0 names 66 parameters in all, and no
/// PDU takes half of them.
pub const PARAMETERS_MAX: usize = 64;

/// What is wrong with the optional parameters of a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParameterFault {
    /// The parameter is there more than once, and the specification allows it once.
    #[error("parameter {:#06x} is there more than once", .0.0)]
    Repeated(Tag),
    /// The parameter's value has a length, octets, that the specification does not give it.
    #[error("parameter {:#06x} has a value of {} octets", .0.0, .1)]
    Length(Tag, usize),
    /// More than [`PARAMETERS_MAX`].
    #[error("there are more than 64 optional parameters")]
    TooMany,
}

impl ParameterFault {
    /// The status that says it, of those that ESMEs do not retry.
    pub fn status(self) -> CommandStatus {
        match self {
            ParameterFault::Repeated(_) => CommandStatus::ESME_ROPTPARNOTALLWD,
            ParameterFault::Length(..) => CommandStatus::ESME_RINVPARLEN,
            ParameterFault::TooMany => CommandStatus::ESME_RINVOPTPARSTREAM,
        }
    }
}

impl From<ParameterFault> for Malformed {
    fn from(fault: ParameterFault) -> Malformed {
        Malformed { field: "tlv", fault: FieldFault::Parameter(fault) }
    }
}

/// Looks for the first fault, in the order in which the parameters stand.
pub fn check(tlvs: Tlvs<'_>) -> Result<(), ParameterFault> {
    let mut strict = Strict::default();
    tlvs.iter().try_for_each(|tlv| strict.look(tlv))
}

/// Looks at the parameters of one PDU as somebody walks them, so that nobody walks them twice.
#[derive(Debug)]
pub struct Strict {
    seen: [Tag; PARAMETERS_MAX],
    count: usize,
}

/// No parameter seen yet.
impl Default for Strict {
    fn default() -> Strict {
        Strict { seen: [Tag(0); PARAMETERS_MAX], count: 0 }
    }
}

impl Strict {
    /// Looks at the next parameter.
    pub fn look(&mut self, tlv: Tlv<'_>) -> Result<(), ParameterFault> {
        let Tlv { tag, value } = tlv;
        let seen = self.seen.split_at_mut_checked(self.count);
        let (before, rest) = seen.ok_or(ParameterFault::TooMany)?;
        let slot = rest.first_mut().ok_or(ParameterFault::TooMany)?;
        if before.contains(&tag) && !may_repeat(tag) {
            return Err(ParameterFault::Repeated(tag));
        }
        if let Some((min, max)) = octets(tag)
            && !(min..=max).contains(&value.len())
        {
            return Err(ParameterFault::Length(tag, value.len()));
        }
        *slot = tag;
        self.count += 1;
        Ok(())
    }
}

/// The parameters that the specification lets stand more than once (SMPP 3.4 5.3.2.36 to 5.3.2.38,
/// SMPP 5.0 4.4.1.1, 4.4.1.2).
fn may_repeat(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::CALLBACK_NUM
            | Tag::CALLBACK_NUM_PRES_IND
            | Tag::CALLBACK_NUM_ATAG
            | Tag::BROADCAST_AREA_IDENTIFIER
            | Tag::BROADCAST_ERROR_STATUS
            | Tag::BROADCAST_AREA_SUCCESS
    )
}

/// Shortest and longest value of a parameter, octets (SMPP 3.4 5.3.2, SMPP 5.0 4.8.4); `None` where the
/// specification sets no limit or the parameter is a vendor's.
pub fn octets(tag: Tag) -> Option<(usize, usize)> {
    Some(match tag {
        Tag::DEST_ADDR_SUBUNIT
        | Tag::DEST_NETWORK_TYPE
        | Tag::DEST_BEARER_TYPE
        | Tag::SOURCE_ADDR_SUBUNIT
        | Tag::SOURCE_NETWORK_TYPE
        | Tag::SOURCE_BEARER_TYPE
        | Tag::SOURCE_TELEMATICS_ID
        | Tag::PAYLOAD_TYPE
        | Tag::MS_MSG_WAIT_FACILITIES
        | Tag::PRIVACY_INDICATOR
        | Tag::USER_RESPONSE_CODE
        | Tag::LANGUAGE_INDICATOR
        | Tag::SAR_TOTAL_SEGMENTS
        | Tag::SAR_SEGMENT_SEQNUM
        | Tag::SC_INTERFACE_VERSION
        | Tag::CALLBACK_NUM_PRES_IND
        | Tag::NUMBER_OF_MESSAGES
        | Tag::DPF_RESULT
        | Tag::SET_DPF
        | Tag::MS_AVAILABILITY_STATUS
        | Tag::DELIVERY_FAILURE_REASON
        | Tag::MORE_MESSAGES_TO_SEND
        | Tag::MESSAGE_STATE
        | Tag::CONGESTION_STATE
        | Tag::USSD_SERVICE_OP
        | Tag::DISPLAY_TIME
        | Tag::ITS_REPLY_TYPE => (1, 1),
        Tag::DEST_TELEMATICS_ID
        | Tag::USER_MESSAGE_REFERENCE
        | Tag::SOURCE_PORT
        | Tag::DESTINATION_PORT
        | Tag::SAR_MSG_REF_NUM
        | Tag::SMS_SIGNAL
        | Tag::ITS_SESSION_INFO => (2, 2),
        Tag::NETWORK_ERROR_CODE => (3, 3),
        Tag::QOS_TIME_TO_LIVE => (4, 4),
        Tag::CALLBACK_NUM => (4, 19),
        Tag::SOURCE_SUBADDRESS | Tag::DEST_SUBADDRESS => (2, 23),
        Tag::CALLBACK_NUM_ATAG => (1, 65),
        Tag::RECEIPTED_MESSAGE_ID => (1, 65),
        Tag::ADDITIONAL_STATUS_INFO_TEXT => (1, 256),
        Tag::MS_VALIDITY => (1, 4),
        Tag::ALERT_ON_MESSAGE_DELIVERY => (0, 1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::write;
    use super::*;

    fn checked(parameters: &[(Tag, usize)]) -> Result<(), ParameterFault> {
        let mut octets = Vec::new();
        for (tag, length) in parameters {
            write::tlv(&mut octets, *tag, &vec![0; *length]);
        }
        check(Tlvs::parse(&octets).expect("well-formed"))
    }

    #[test]
    fn parameters_are_single_and_as_long_as_specified() {
        let vendor = Tag(0x1401);
        let cases: &[(&[(Tag, usize)], Result<(), ParameterFault>)] = &[
            (&[], Ok(())),
            (&[(Tag::MESSAGE_PAYLOAD, 0), (vendor, 300)], Ok(())),
            (
                &[(Tag::MESSAGE_PAYLOAD, 1), (vendor, 1), (Tag::MESSAGE_PAYLOAD, 2)],
                Err(ParameterFault::Repeated(Tag::MESSAGE_PAYLOAD)),
            ),
            (&[(vendor, 1), (vendor, 1)], Err(ParameterFault::Repeated(vendor))),
            (&[(Tag(0), 1)], Ok(())),
            (&[(Tag(0), 1), (Tag(0), 1)], Err(ParameterFault::Repeated(Tag(0)))),
            (&[(Tag::CALLBACK_NUM, 4), (Tag::CALLBACK_NUM, 19)], Ok(())),
            (&[(Tag::CALLBACK_NUM, 3)], Err(ParameterFault::Length(Tag::CALLBACK_NUM, 3))),
            (&[(Tag::CALLBACK_NUM, 20)], Err(ParameterFault::Length(Tag::CALLBACK_NUM, 20))),
            (&[(Tag::SAR_MSG_REF_NUM, 2), (Tag::SAR_TOTAL_SEGMENTS, 1)], Ok(())),
            (
                &[(Tag::SAR_TOTAL_SEGMENTS, 2)],
                Err(ParameterFault::Length(Tag::SAR_TOTAL_SEGMENTS, 2)),
            ),
            (&[(Tag::BROADCAST_AREA_IDENTIFIER, 9), (Tag::BROADCAST_AREA_IDENTIFIER, 9)], Ok(())),
        ];
        for (parameters, expected) in cases {
            assert_eq!(&checked(parameters), expected, "{parameters:?}");
        }
        let many = |count: u16| -> Vec<_> { (0..count).map(|at| (Tag(0x1400 + at), 1)).collect() };
        assert_eq!(checked(&many(64)), Ok(()));
        assert_eq!(checked(&many(65)), Err(ParameterFault::TooMany));
    }
}
