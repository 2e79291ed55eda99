//! command_status values (SMPP 3.4 5.1.3, SMPP 5.0 4.7.6).

use std::fmt;

/// A command_status: any of the 2^32 values; those that the specifications name have a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandStatus(pub u32);

macro_rules! statuses {
    ($($name:ident $value:literal $meaning:literal)*) => {
        impl CommandStatus {
            $(#[doc = $meaning] pub const $name: CommandStatus = CommandStatus($value);)*

            /// Every status with a name, in the order of the codes.
            pub const ALL: &[CommandStatus] = &[$(CommandStatus($value)),*];

            /// The specification's name, where there is one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// The status of that name, as the specifications spell it.
            pub fn from_name(name: &str) -> Option<CommandStatus> {
                match name {
                    $(stringify!($name) => Some(CommandStatus($value)),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    ESME_ROK 0x0000 "No error."
    ESME_RINVMSGLEN 0x0001 "Message length is invalid."
    ESME_RINVCMDLEN 0x0002 "Command length is invalid."
    ESME_RINVCMDID 0x0003 "Invalid command_id."
    ESME_RINVBNDSTS 0x0004 "Incorrect bind status for the command."
    ESME_RALYBND 0x0005 "ESME already in bound state."
    ESME_RINVPRTFLG 0x0006 "Invalid priority flag."
    ESME_RINVREGDLVFLG 0x0007 "Invalid registered_delivery flag."
    ESME_RSYSERR 0x0008 "System error."
    ESME_RINVSRCADR 0x000a "Invalid source address."
    ESME_RINVDSTADR 0x000b "Invalid destination address."
    ESME_RINVMSGID 0x000c "message_id is invalid."
    ESME_RBINDFAIL 0x000d "Bind failed."
    ESME_RINVPASWD 0x000e "Invalid password."
    ESME_RINVSYSID 0x000f "Invalid system_id."
    ESME_RCANCELFAIL 0x0011 "cancel_sm failed."
    ESME_RREPLACEFAIL 0x0013 "replace_sm failed."
    ESME_RMSGQFUL 0x0014 "Message queue full."
    ESME_RINVSERTYP 0x0015 "Invalid service_type."
    ESME_RINVNUMDESTS 0x0033 "Invalid number of destinations."
    ESME_RINVDLNAME 0x0034 "Invalid distribution list name."
    ESME_RINVDESTFLAG 0x0040 "Destination flag is invalid."
    ESME_RINVSUBREP 0x0042 "Submit with replace is not supported."
    ESME_RINVESMCLASS 0x0043 "Invalid esm_class."
    ESME_RCNTSUBDL 0x0044 "Cannot submit to a distribution list."
    ESME_RSUBMITFAIL 0x0045 "submit_sm or submit_multi failed."
    ESME_RINVSRCTON 0x0048 "Invalid source address TON."
    ESME_RINVSRCNPI 0x0049 "Invalid source address NPI."
    ESME_RINVDSTTON 0x0050 "Invalid destination address TON."
    ESME_RINVDSTNPI 0x0051 "Invalid destination address NPI."
    ESME_RINVSYSTYP 0x0053 "Invalid system_type."
    ESME_RINVREPFLAG 0x0054 "Invalid replace_if_present flag."
    ESME_RINVNUMMSGS 0x0055 "Invalid number of messages."
    ESME_RTHROTTLED 0x0058 "Throttling: the ESME has exceeded its message limits."
    ESME_RINVSCHED 0x0061 "Invalid scheduled delivery time."
    ESME_RINVEXPIRY 0x0062 "Invalid validity period."
    ESME_RINVDFTMSGID 0x0063 "Predefined message is invalid or not found."
    ESME_RX_T_APPN 0x0064 "ESME receiver: temporary application error."
    ESME_RX_P_APPN 0x0065 "ESME receiver: permanent application error."
    ESME_RX_R_APPN 0x0066 "ESME receiver: message rejected."
    ESME_RQUERYFAIL 0x0067 "query_sm failed."
    ESME_RINVOPTPARSTREAM 0x00c0 "Error in the optional part of the PDU body."
    ESME_ROPTPARNOTALLWD 0x00c1 "Optional parameter not allowed."
    ESME_RINVPARLEN 0x00c2 "Invalid parameter length."
    ESME_RMISSINGOPTPARAM 0x00c3 "Expected optional parameter missing."
    ESME_RINVOPTPARAMVAL 0x00c4 "Invalid optional parameter value."
    ESME_RDELIVERYFAILURE 0x00fe "Delivery failure (data_sm_resp)."
    ESME_RUNKNOWNERR 0x00ff "Unknown error."
    ESME_RSERTYPUNAUTH 0x0100 "ESME not authorised to use the service_type."
    ESME_RPROHIBITED 0x0101 "ESME prohibited from using the operation."
    ESME_RSERTYPUNAVAIL 0x0102 "service_type is unavailable."
    ESME_RSERTYPDENIED 0x0103 "service_type is denied."
    ESME_RINVDCS 0x0104 "Invalid data_coding."
    ESME_RINVSRCADDRSUBUNIT 0x0105 "Source address subunit is invalid."
    ESME_RINVDSTADDRSUBUNIT 0x0106 "Destination address subunit is invalid."
    ESME_RINVBCASTFREQINT 0x0107 "Broadcast frequency interval is invalid."
    ESME_RINVBCASTALIAS_NAME 0x0108 "Broadcast alias name is invalid."
    ESME_RINVBCASTAREAFMT 0x0109 "Broadcast area format is invalid."
    ESME_RINVNUMBCAST_AREAS 0x010a "Number of broadcast areas is invalid."
    ESME_RINVBCASTCNTTYPE 0x010b "Broadcast content type is invalid."
    ESME_RINVBCASTMSGCLASS 0x010c "Broadcast message class is invalid."
    ESME_RBCASTFAIL 0x010d "broadcast_sm failed."
    ESME_RBCASTQUERYFAIL 0x010e "query_broadcast_sm failed."
    ESME_RBCASTCANCELFAIL 0x010f "cancel_broadcast_sm failed."
    ESME_RINVBCAST_REP 0x0110 "Number of repeated broadcasts is invalid."
    ESME_RINVBCASTSRVGRP 0x0111 "Broadcast service group is invalid."
    ESME_RINVBCASTCHANIND 0x0112 "Broadcast channel indicator is invalid."
}

/// First of the 256 codes that SMPP 3.4 (5.1.3) leaves to SMSC vendors.
pub const VENDOR_FIRST: u32 = 0x0400;
/// Last of the vendor codes.
pub const VENDOR_LAST: u32 = 0x04ff;

impl CommandStatus {
    /// Whether the request succeeded.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// Whether most ESMEs send again when they meet it. A refusal by law never uses one of these.
    pub const fn is_retried(self) -> bool {
        matches!(self, Self::ESME_RSYSERR | Self::ESME_RMSGQFUL | Self::ESME_RTHROTTLED)
    }
}

impl fmt::Debug for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_agree_both_ways() {
        for &status in CommandStatus::ALL {
            let name = status.name().unwrap_or_default();
            assert_eq!(CommandStatus::from_name(name), Some(status));
            assert_eq!(format!("{status}"), name);
        }
        assert_eq!(format!("{}", CommandStatus(0x0401)), "0x0401");
        assert_eq!(CommandStatus::from_name("88"), None);
    }
}
