//! Optional parameters: tag, length, value (SMPP 3.4 5.3).

use super::cursor::{FieldFault, Malformed};

/// An optional parameter's tag. Unknown and vendor tags (0x1400-0x3FFF) are values like any other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tag(pub u16);

macro_rules! tags {
    ($($name:ident $value:literal $spelled:literal)*) => {
        impl Tag {
            $(#[doc = concat!("`", $spelled, "`.")] pub const $name: Tag = Tag($value);)*

            /// The specification's name, where there is one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some($spelled),)* _ => None }
            }
        }
    };
}

tags! {
    DEST_ADDR_SUBUNIT 0x0005 "dest_addr_subunit"
    DEST_NETWORK_TYPE 0x0006 "dest_network_type"
    DEST_BEARER_TYPE 0x0007 "dest_bearer_type"
    DEST_TELEMATICS_ID 0x0008 "dest_telematics_id"
    SOURCE_ADDR_SUBUNIT 0x000d "source_addr_subunit"
    SOURCE_NETWORK_TYPE 0x000e "source_network_type"
    SOURCE_BEARER_TYPE 0x000f "source_bearer_type"
    SOURCE_TELEMATICS_ID 0x0010 "source_telematics_id"
    QOS_TIME_TO_LIVE 0x0017 "qos_time_to_live"
    PAYLOAD_TYPE 0x0019 "payload_type"
    ADDITIONAL_STATUS_INFO_TEXT 0x001d "additional_status_info_text"
    RECEIPTED_MESSAGE_ID 0x001e "receipted_message_id"
    MS_MSG_WAIT_FACILITIES 0x0030 "ms_msg_wait_facilities"
    PRIVACY_INDICATOR 0x0201 "privacy_indicator"
    SOURCE_SUBADDRESS 0x0202 "source_subaddress"
    DEST_SUBADDRESS 0x0203 "dest_subaddress"
    USER_MESSAGE_REFERENCE 0x0204 "user_message_reference"
    USER_RESPONSE_CODE 0x0205 "user_response_code"
    SOURCE_PORT 0x020a "source_port"
    DESTINATION_PORT 0x020b "destination_port"
    SAR_MSG_REF_NUM 0x020c "sar_msg_ref_num"
    LANGUAGE_INDICATOR 0x020d "language_indicator"
    SAR_TOTAL_SEGMENTS 0x020e "sar_total_segments"
    SAR_SEGMENT_SEQNUM 0x020f "sar_segment_seqnum"
    SC_INTERFACE_VERSION 0x0210 "sc_interface_version"
    CALLBACK_NUM_PRES_IND 0x0302 "callback_num_pres_ind"
    CALLBACK_NUM_ATAG 0x0303 "callback_num_atag"
    NUMBER_OF_MESSAGES 0x0304 "number_of_messages"
    CALLBACK_NUM 0x0381 "callback_num"
    DPF_RESULT 0x0420 "dpf_result"
    SET_DPF 0x0421 "set_dpf"
    MS_AVAILABILITY_STATUS 0x0422 "ms_availability_status"
    NETWORK_ERROR_CODE 0x0423 "network_error_code"
    MESSAGE_PAYLOAD 0x0424 "message_payload"
    DELIVERY_FAILURE_REASON 0x0425 "delivery_failure_reason"
    MORE_MESSAGES_TO_SEND 0x0426 "more_messages_to_send"
    MESSAGE_STATE 0x0427 "message_state"
    CONGESTION_STATE 0x0428 "congestion_state"
    USSD_SERVICE_OP 0x0501 "ussd_service_op"
    BROADCAST_CHANNEL_INDICATOR 0x0600 "broadcast_channel_indicator"
    BROADCAST_CONTENT_TYPE 0x0601 "broadcast_content_type"
    BROADCAST_CONTENT_TYPE_INFO 0x0602 "broadcast_content_type_info"
    BROADCAST_MESSAGE_CLASS 0x0603 "broadcast_message_class"
    BROADCAST_REP_NUM 0x0604 "broadcast_rep_num"
    BROADCAST_FREQUENCY_INTERVAL 0x0605 "broadcast_frequency_interval"
    BROADCAST_AREA_IDENTIFIER 0x0606 "broadcast_area_identifier"
    BROADCAST_ERROR_STATUS 0x0607 "broadcast_error_status"
    BROADCAST_AREA_SUCCESS 0x0608 "broadcast_area_success"
    BROADCAST_END_TIME 0x0609 "broadcast_end_time"
    BROADCAST_SERVICE_GROUP 0x060a "broadcast_service_group"
    BILLING_IDENTIFICATION 0x060b "billing_identification"
    SOURCE_NETWORK_ID 0x060d "source_network_id"
    DEST_NETWORK_ID 0x060e "dest_network_id"
    SOURCE_NODE_ID 0x060f "source_node_id"
    DEST_NODE_ID 0x0610 "dest_node_id"
    DEST_ADDR_NP_RESOLUTION 0x0611 "dest_addr_np_resolution"
    DEST_ADDR_NP_INFORMATION 0x0612 "dest_addr_np_information"
    DEST_ADDR_NP_COUNTRY 0x0613 "dest_addr_np_country"
    DISPLAY_TIME 0x1201 "display_time"
    SMS_SIGNAL 0x1203 "sms_signal"
    MS_VALIDITY 0x1204 "ms_validity"
    ALERT_ON_MESSAGE_DELIVERY 0x130c "alert_on_message_delivery"
    ITS_REPLY_TYPE 0x1380 "its_reply_type"
    ITS_SESSION_INFO 0x1383 "its_session_info"
}

/// One optional parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// What it is.
    pub tag: Tag,
    /// Its value, of the length that it announced.
    pub value: &'a [u8],
}

/// The optional parameters at the end of a body, in their order, duplicates included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlvs<'a> {
    octets: &'a [u8],
}

impl<'a> Tlvs<'a> {
    /// No optional parameters.
    pub const NONE: Tlvs<'static> = Tlvs { octets: &[] };

    /// Walks `octets` once, so that iterating afterwards cannot fail.
    #[inline]
    pub fn parse(octets: &'a [u8]) -> Result<Tlvs<'a>, Malformed> {
        let mut rest = octets;
        while !rest.is_empty() {
            let fault = |fault| Malformed { field: "tlv", fault };
            let Some((&[_, _, high, low], behind)) = rest.split_first_chunk::<4>() else {
                return Err(fault(FieldFault::Trailing(rest.len())));
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            rest = behind.get(length..).ok_or(fault(FieldFault::Cut))?;
        }
        Ok(Tlvs { octets })
    }

    /// The parameters in the order in which they stand.
    #[inline]
    pub fn iter(self) -> TlvIter<'a> {
        TlvIter { rest: self.octets }
    }

    /// All of them as they stand.
    pub fn octets(self) -> &'a [u8] {
        self.octets
    }

    /// The first parameter with that tag.
    pub fn find(self, tag: Tag) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.tag == tag).map(|tlv| tlv.value)
    }
}

impl<'a> IntoIterator for Tlvs<'a> {
    type Item = Tlv<'a>;
    type IntoIter = TlvIter<'a>;
    fn into_iter(self) -> TlvIter<'a> {
        self.iter()
    }
}

/// Iterates over [`Tlvs`].
#[derive(Debug, Clone)]
pub struct TlvIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for TlvIter<'a> {
    type Item = Tlv<'a>;

    #[inline]
    fn next(&mut self) -> Option<Tlv<'a>> {
        let (&[t1, t0, l1, l0], behind) = self.rest.split_first_chunk::<4>()?;
        let (value, rest) = behind.split_at_checked(usize::from(u16::from_be_bytes([l1, l0])))?;
        self.rest = rest;
        Some(Tlv { tag: Tag(u16::from_be_bytes([t1, t0])), value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_walked_whole_or_not_at_all() {
        let cases: &[(&[u8], Result<usize, FieldFault>)] = &[
            (&[], Ok(0)),
            (&[0x04, 0x24, 0, 0], Ok(1)),
            (&[0x04, 0x24, 0, 2, 1, 2, 0x14, 0x01, 0, 1, 9], Ok(2)),
            (&[0x04, 0x24, 0, 3, 1, 2], Err(FieldFault::Cut)),
            (&[0x04, 0x24, 0xff, 0xff], Err(FieldFault::Cut)),
            (&[0x04], Err(FieldFault::Trailing(1))),
            (&[0x04, 0x24, 0, 0, 1, 2, 3], Err(FieldFault::Trailing(3))),
        ];
        for (octets, expected) in cases {
            let walked = Tlvs::parse(octets).map(|t| t.iter().count()).map_err(|m| m.fault);
            assert_eq!(&walked, expected, "{octets:02x?}");
        }
    }
}
