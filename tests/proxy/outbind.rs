//! outbind end to end (SMPP 3.4 2.2.1): the SMSC dials, the ESME hears it and binds over the same
//! connection.

use consentry::smpp::write;
use consentry::smpp::{Command, CommandStatus};

use crate::recorded;
use crate::running::Proxy;
use crate::wire::{Wire, listener};

fn outbind() -> Vec<u8> {
    let mut out = Vec::new();
    write::pdu(&mut out, Command::Outbind.id(), CommandStatus::ESME_ROK, 1, |out| {
        write::c_octets(out, b"SMSC");
        write::c_octets(out, b"secret");
    });
    out
}

fn bind(system_id: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let fields = write::BindFields {
        system_id,
        password: b"secret",
        system_type: b"",
        interface_version: 0x34,
    };
    write::bind(&mut out, Command::BindReceiver, 7, fields);
    out
}

fn config(esmes: &str) -> String {
    format!(
        "[[outbind]]\naddress = \"127.0.0.1:0\"\nesme = [{esmes}]\n\
         [registry]\nfile = \"registry.toml\"\n[audit]\npath = \"audit\"\n"
    )
}

#[tokio::test]
async fn an_smsc_that_dials_reaches_the_esme_and_the_bind_comes_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (gone, gone_address) = listener().await;
    drop(gone);
    let (esmes, address) = listener().await;
    // The first of the list takes no connection: the next one is dialled.
    let config = config(&format!("\"{gone_address}\", \"{address}\""));
    let mut proxy = Proxy::start_with(folder.path(), &config, "");

    let mut smsc = Wire::connect(proxy.address()).await;
    smsc.send(&outbind()).await;
    let mut esme = Wire::accept(&esmes).await;
    assert_eq!(esme.next().await, Some(outbind()), "outbind crosses as it came");
    esme.send(&bind(b"test")).await;
    assert_eq!(smsc.next().await, Some(bind(b"test")), "the bind crosses as it came");
    smsc.answer(&bind(b"test"), CommandStatus::ESME_ROK).await;
    esme.expect(Command::BindReceiverResp).await;

    let mut deliver = Vec::new();
    let id = Command::DeliverSm.id();
    write::pdu(&mut deliver, id, CommandStatus::ESME_ROK, 2, |out| out.resize(17, 0));
    smsc.send(&deliver).await;
    assert_eq!(esme.next().await, Some(deliver.clone()));
    esme.answer(&deliver, CommandStatus::ESME_ROK).await;
    smsc.expect(Command::DeliverSmResp).await;

    drop(smsc);
    assert_eq!(esme.next().await, None, "one side gone, the other is closed");
    proxy.signal("-TERM");
    assert_eq!(proxy.wait(), Some(0));
    assert_eq!(recorded(folder.path()), (vec![], 0));
}

#[tokio::test]
async fn an_outbind_lets_nobody_in_who_is_not_registered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (esmes, address) = listener().await;
    let proxy = Proxy::start_with(folder.path(), &config(&format!("\"{address}\"")), "");
    let mut smsc = Wire::connect(proxy.address()).await;
    smsc.send(&outbind()).await;
    let mut esme = Wire::accept(&esmes).await;
    esme.expect(Command::Outbind).await;
    esme.send(&bind(b"stranger")).await;
    let refused = esme.expect(Command::BindReceiverResp).await;
    assert_eq!(refused[8..12], CommandStatus::ESME_RINVSYSID.0.to_be_bytes());
    assert_eq!(smsc.next().await, None, "the bind never reached the SMSC");
}

#[tokio::test]
async fn an_outbind_for_nobody_is_closed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (gone, address) = listener().await;
    drop(gone);
    let proxy = Proxy::start_with(folder.path(), &config(&format!("\"{address}\"")), "");
    let mut smsc = Wire::connect(proxy.address()).await;
    smsc.send(&outbind()).await;
    assert_eq!(smsc.next().await, None, "no ESME takes it, and the SMSC is not left waiting");
}
