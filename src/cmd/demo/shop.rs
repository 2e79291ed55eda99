//! The demo's shop: a bound ESME that sends scenes and sees what becomes of them.

use std::net::SocketAddr;

use super::Failure;
use super::scene::{ADVERTISING, CONSENTING, Scene, submit_sm};
use crate::peer::esme::Esme;
use crate::peer::smsc::Smsc;
use crate::policy::RuleSet;
use crate::smpp::{Command, CommandStatus, Header, write};

/// A shop that is bound as a transceiver.
pub(super) struct Shop<'a> {
    esme: Esme,
    smsc: &'a Smsc,
    rule_set: RuleSet,
    sequence_number: u32,
    /// Whether everything became of every message that should.
    pub(super) right: bool,
    /// Messages that arrived at the SMSC.
    pub(super) arrived: u32,
}

impl Shop<'_> {
    /// Binds through the proxy.
    pub(super) async fn open(
        proxy: SocketAddr,
        smsc: &Smsc,
        rule_set: RuleSet,
    ) -> Result<Shop<'_>, Failure> {
        let mut esme = Esme::connect(proxy).await?;
        let status = esme.bind(Command::BindTransceiver, "shop1", "secret").await?;
        println!(" pass    bind as {:<34} {:<22} {status}", "shop1 (示例商城有限公司)", "");
        let right = status.is_ok();
        Ok(Shop { esme, smsc, rule_set, sequence_number: 1, right, arrived: 0 })
    }

    /// Sends scenes, one after the other: what passes is looked for at the SMSC, octet for octet,
    /// and what is refused must not be there.
    pub(super) async fn play(&mut self, scenes: &[Scene]) -> Result<(), Failure> {
        for scene in scenes {
            self.sequence_number += 1;
            let pdu = submit_sm(self.sequence_number, scene);
            self.esme.send(&pdu).await?;
            let answer = self.esme.next().await?.unwrap_or_default();
            let status = Header::of(&answer).map(|header| header.command_status);
            let arrived = self.smsc.received().iter().any(|received| received.octets == pdu);
            self.arrived += u32::from(arrived);
            self.tell(scene, status, arrived);
        }
        Ok(())
    }

    fn tell(&mut self, scene: &Scene, status: Option<CommandStatus>, arrived: bool) {
        let (verdict, rule, expected) = match scene.refused_by {
            Some((rule, status)) => ("refuse", rule.name(), status),
            None => ("pass  ", "", CommandStatus::ESME_ROK),
        };
        let as_expected = status == Some(expected) && arrived == scene.refused_by.is_none();
        self.right &= as_expected;
        let mark = if as_expected { ' ' } else { '!' };
        let shown = status.map_or("no answer".to_owned(), |status| status.to_string());
        println!("{mark}{verdict}  {:<42} {rule:<22} {shown}", scene.what);
        if let Some((rule, _)) = scene.refused_by {
            println!("         {:<42} {}", "", rule.article(self.rule_set));
        }
    }

    /// A handset answers the advertising code: its message must come to the shop as it was sent.
    pub(super) async fn hear(&mut self, words: &str) -> Result<(), Failure> {
        let text: Vec<u8> = words.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let number = |digits: &'static [u8]| str::from_utf8(digits).unwrap_or_default();
        let sent = self.smsc.deliver("shop1", number(CONSENTING), number(ADVERTISING), 8, &text);
        let pdu = self.esme.next().await?.unwrap_or_default();
        let header = Header::of(&pdu);
        let heard = sent
            && header.is_some_and(|header| header.command == Command::DeliverSm)
            && pdu.windows(text.len()).any(|window| window == text);
        if let Some(header) = header {
            let mut answer = Vec::new();
            let (id, number) = (header.command.response_id(), header.sequence_number);
            write::pdu(&mut answer, id, CommandStatus::ESME_ROK, number, |out| out.push(0));
            self.esme.send(&answer).await?;
        }
        self.right &= heard;
        let mark = if heard { ' ' } else { '!' };
        println!(
            "{mark}reply   a handset answers {words:<24} consent is revoked, then the shop hears of it"
        );
        Ok(())
    }
}
