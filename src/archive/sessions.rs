//! Whose session it was: only the bind says so, and a session outlives many segments.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::audit::{REFUSE, Record};

/// Sessions that are known at once; beyond it the oldest is let go, its rows have no provider then.
pub const SESSIONS_MAX: usize = 1 << 16;

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The provider's name from the registry; empty when unknown.
    pub provider: String,
    /// system_id, what is not printable ASCII escaped.
    pub system_id: String,
}

/// The sessions that are open at a place of the journal. Whoever stops reading there and goes on
/// later keeps it with the place: as JSON it is one object of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sessions {
    open: BTreeMap<u64, Named>,
    /// In the order of their binds; those that ended are passed over.
    order: VecDeque<u64>,
}

impl Sessions {
    /// Takes note of a record: binds begin, ends end, no session outlives the proxy.
    pub fn look(&mut self, record: &Record<'_>) {
        match record {
            Record::Bind(bind) if bind.verdict != REFUSE => self.begin(
                bind.session,
                Named {
                    provider: bind.provider.to_owned(),
                    system_id: bind.system_id.escape_ascii().to_string(),
                },
            ),
            Record::End(end) => {
                self.open.remove(&end.session);
            }
            Record::Start(_) => *self = Sessions::default(),
            _ => {}
        }
    }

    /// Whose it is, if its bind was seen.
    pub fn named(&self, session: u64) -> Option<&Named> {
        self.open.get(&session)
    }

    fn begin(&mut self, session: u64, named: Named) {
        while self.open.len() >= SESSIONS_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.open.remove(&oldest);
        }
        if self.order.len() >= 2 * SESSIONS_MAX {
            self.order.retain(|session| self.open.contains_key(session));
        }
        if self.open.insert(session, named).is_none() {
            self.order.push_back(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{BindRecord, EndRecord, PASS};

    fn bind(session: u64, verdict: u8) -> BindRecord<'static> {
        BindRecord {
            session,
            command_id: 9,
            sequence_number: 1,
            verdict,
            rule: 0,
            observed: 0,
            status: 0,
            interface_version: 0x34,
            peer: std::net::SocketAddr::from(([127, 0, 0, 1], 1)),
            smsc: None,
            listener: "",
            provider: "p",
            system_id: b"s\x01",
        }
    }

    #[test]
    fn a_session_is_known_from_its_bind_to_its_end() {
        let mut sessions = Sessions::default();
        sessions.look(&Record::Bind(bind(1, PASS)));
        sessions.look(&Record::Bind(bind(2, REFUSE)));
        sessions.look(&Record::Bind(bind(3, PASS)));
        assert_eq!(sessions.named(1).unwrap().system_id, "s\\x01");
        assert_eq!(sessions.named(2), None);
        let kept = serde_json::to_string(&sessions).unwrap();
        let end = EndRecord { session: 1, reason: 1, forwarded: 0, refused: 0, unanswered: 0 };
        sessions.look(&Record::End(end));
        assert_eq!((sessions.named(1), sessions.named(3).is_some()), (None, true));
        sessions = serde_json::from_str(&kept).unwrap();
        assert!(sessions.named(1).is_some());
    }

    #[test]
    fn the_oldest_is_let_go_beyond_the_limit() {
        let mut sessions = Sessions::default();
        for session in 1..=SESSIONS_MAX as u64 + 1 {
            sessions.look(&Record::Bind(bind(session, PASS)));
        }
        assert_eq!((sessions.named(1), sessions.named(2).is_some()), (None, true));
        assert_eq!(sessions.open.len(), SESSIONS_MAX);
    }
}
