//! `consentry demo`: the main job on this machine with nothing else installed.

use std::path::{Path, PathBuf};

use super::{Answer, Failure, knowledge, serve};
use crate::audit::verify;
use crate::peer::esme::Esme;
use crate::peer::smsc::{Options, Smsc};
use crate::policy::{Rule, RuleSet};
use crate::smpp::message::WireAddress;
use crate::smpp::tlv::Tag;
use crate::smpp::write::{self, MessageFields};
use crate::smpp::{Command, CommandStatus, Header};

/// Shows the main job on loopback: proxy, SMSC and ESMEs, real PDUs, each verdict with its reason,
/// and the journal verified at the end.
#[derive(clap::Args)]
pub struct Args {
    /// Leave consentry.toml, registry.toml and state/ in this new folder, for the other commands.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// PDUs that the demo's SMSC remembers.
const RECEIVED_MAX: usize = 64;

const REGISTRY: &str = r#"# Written by `consentry demo`.
[[provider]]
name       = "示例商城有限公司"
system_ids = ["shop1"]
licence    = { number = "B2-20260001", valid_until = 2099-12-31 }
identity   = "verified"
from       = ["127.0.0.0/8"]

[[provider.code]]
number     = "106900001234"
digits_max = 16
purpose    = "service"
signatures = ["示例商城"]

[[provider]]
name       = "另一家科技有限公司"
system_ids = ["other1"]
licence    = { number = "B2-20260002", valid_until = 2099-12-31 }
identity   = "verified"

[[provider.code]]
number     = "106900005678"
digits_max = 16
purpose    = "service"

[[provider]]
name       = "过期许可有限公司"
system_ids = ["lapsed1"]
licence    = { number = "B2-20200003", valid_until = 2025-12-31 }
identity   = "verified"
"#;

fn configuration(smsc: &str) -> String {
    format!(
        r#"# Written by `consentry demo`. Port 0 takes a free port; the log names it.
[[listen]]
address = "127.0.0.1:0"
smsc    = ["{smsc}"]

[rules]
set = "cn-order74-2026"

[registry]
file = "registry.toml"

[audit]
path = "state/audit"
durability = "synced"

[admin]
address = "127.0.0.1:0"
"#
    )
}

/// One message of the demo, and what is to become of it.
struct Scene {
    what: &'static str,
    source: &'static [u8],
    source_ton: u8,
    destination: &'static [u8],
    text: &'static str,
    callback_num: Option<&'static [u8]>,
    refused_by: Option<(Rule, CommandStatus)>,
}

const PLAIN: Scene = Scene {
    what: "",
    source: b"106900001234",
    source_ton: 0,
    destination: b"8613800138000",
    text: "【示例商城】验证码 123456，五分钟内有效。",
    callback_num: None,
    refused_by: None,
};

fn scenes() -> Vec<Scene> {
    let refused = |rule, status| Some((rule, status));
    let invalid_source = CommandStatus::ESME_RINVSRCADR;
    vec![
        Scene { what: "a code of its own", ..PLAIN },
        Scene { what: "an extension of that code", source: b"10690000123401", ..PLAIN },
        Scene {
            what: "the same recipient written another way",
            destination: b"13800138000",
            ..PLAIN
        },
        Scene {
            what: "no sender at all",
            source: b"",
            refused_by: refused(Rule::SourceMissing, invalid_source),
            ..PLAIN
        },
        Scene {
            what: "somebody else's code",
            source: b"106900005678",
            refused_by: refused(Rule::SourceForged, invalid_source),
            ..PLAIN
        },
        Scene {
            what: "a code that nobody was allotted",
            source: b"106911112222",
            refused_by: refused(Rule::SourceForged, invalid_source),
            ..PLAIN
        },
        Scene {
            what: "a person's number as the sender",
            source: b"13900139000",
            refused_by: refused(Rule::SourceMalformed, invalid_source),
            ..PLAIN
        },
        Scene {
            what: "a number type that contradicts the digits",
            source_ton: 1,
            refused_by: refused(Rule::SourceMalformed, CommandStatus::ESME_RINVSRCTON),
            ..PLAIN
        },
        Scene {
            what: "more digits than were allotted",
            source: b"10690000123412345",
            refused_by: refused(Rule::CodeLength, invalid_source),
            ..PLAIN
        },
        Scene {
            what: "a second sender smuggled in as callback_num",
            callback_num: Some(b"\x01\x00\x0010086"),
            refused_by: refused(Rule::SourceSecond, CommandStatus::ESME_ROPTPARNOTALLWD),
            ..PLAIN
        },
        Scene {
            what: "no recipient that exists",
            destination: b"12321",
            refused_by: refused(Rule::DestinationMalformed, CommandStatus::ESME_RINVDSTADR),
            ..PLAIN
        },
    ]
}

/// Runs the demo: yes when everything became of every message that should.
pub fn run(args: Args) -> Result<Answer, Failure> {
    let keep = args.keep.is_some();
    let folder = match args.keep {
        Some(folder) => folder,
        None => std::env::temp_dir().join(format!("consentry-demo-{}", std::process::id())),
    };
    std::fs::create_dir(&folder).map_err(|error| {
        Failure(format!("{} cannot be created: {error}; name a new folder", folder.display()))
    })?;
    let answer = play(&folder);
    if keep {
        println!("\nkept in {}: consentry.toml, registry.toml, state/", folder.display());
    } else {
        // What is left in the temporary folder harms nobody, if it cannot be removed.
        let _ = std::fs::remove_dir_all(&folder);
    }
    answer
}

fn play(folder: &Path) -> Result<Answer, Failure> {
    let smsc = Smsc::start(Options { received_max: RECEIVED_MAX, ..Options::default() })?;
    std::fs::write(folder.join("registry.toml"), REGISTRY)?;
    let config_file = folder.join("consentry.toml");
    std::fs::write(&config_file, configuration(&smsc.address().to_string()))?;
    let loaded = knowledge::load(&config_file)?;
    let journal = loaded.config.audit.path.clone();
    let rule_set = loaded.knowledge.rule_set;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut right = runtime.block_on(async {
        let running = serve::start(loaded).await?;
        let proxy = running
            .listening
            .first()
            .copied()
            .ok_or_else(|| Failure("the demo's proxy listens nowhere".to_owned()))?;
        println!("SMSC      {}", smsc.address());
        println!("Consentry {proxy}, rules {}", rule_set.name());
        if let Some(admin) = running.admin {
            println!("metrics   http://{admin}/metrics");
        }
        println!();
        let mut right = binds(proxy).await?;
        right &= messages(proxy, &smsc, rule_set).await?;
        right &= running.stop().await?;
        Ok::<bool, Failure>(right)
    })?;
    let verified = verify(&journal)?;
    let whole = verified.records;
    println!("\njournal   {whole} records, every one under the hash chain, verified");
    right &= whole > 0;
    println!("{}", if right { "all as it should be" } else { "NOT as it should be: see above" });
    Ok(if right { Answer::Yes } else { Answer::No })
}

/// Binds that are refused.
async fn binds(proxy: std::net::SocketAddr) -> Result<bool, Failure> {
    let cases = [
        ("nobody", Rule::ProviderUnknown, CommandStatus::ESME_RINVSYSID),
        ("lapsed1", Rule::ProviderLicence, CommandStatus::ESME_RBINDFAIL),
    ];
    let mut right = true;
    for (system_id, rule, expected) in cases {
        let mut esme = Esme::connect(proxy).await?;
        let status = esme.bind(Command::BindTransceiver, system_id, "secret").await?;
        right &= status == expected;
        let mark = if status == expected { ' ' } else { '!' };
        println!("{mark}refuse  bind as {system_id:<34} {:<22} {status}", rule.name());
    }
    Ok(right)
}

/// Messages of one provider, one after the other: what passes is looked for at the SMSC, octet
/// for octet, and what is refused must not be there.
async fn messages(
    proxy: std::net::SocketAddr,
    smsc: &Smsc,
    rule_set: RuleSet,
) -> Result<bool, Failure> {
    let mut esme = Esme::connect(proxy).await?;
    let status = esme.bind(Command::BindTransceiver, "shop1", "secret").await?;
    println!(" pass    bind as {:<34} {:<22} {status}", "shop1 (示例商城有限公司)", "");
    let mut right = status.is_ok();
    let mut forwarded = 0;
    for (sequence_number, scene) in (2..).zip(scenes()) {
        let pdu = submit_sm(sequence_number, &scene);
        esme.send(&pdu).await?;
        let answer = esme.next().await?.unwrap_or_default();
        let status = Header::of(&answer).map(|header| header.command_status);
        let arrived = smsc.received().iter().any(|received| received.octets == pdu);
        let (verdict, rule, expected) = match scene.refused_by {
            Some((rule, status)) => ("refuse", rule.name(), status),
            None => ("pass  ", "", CommandStatus::ESME_ROK),
        };
        let as_expected = status == Some(expected) && arrived == scene.refused_by.is_none();
        right &= as_expected;
        forwarded += u32::from(arrived);
        let mark = if as_expected { ' ' } else { '!' };
        let shown = status.map_or("no answer".to_owned(), |status| status.to_string());
        println!("{mark}{verdict}  {:<42} {rule:<22} {shown}", scene.what);
        if let Some((rule, _)) = scene.refused_by {
            println!("         {:<42} {}", "", rule.article(rule_set));
        }
    }
    println!("\n{forwarded} messages at the SMSC, each the very octets that the ESME sent");
    Ok(right)
}

fn submit_sm(sequence_number: u32, scene: &Scene) -> Vec<u8> {
    let text: Vec<u8> = scene.text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let fields = MessageFields {
        source: WireAddress { ton: scene.source_ton, npi: 1, value: scene.source },
        destination: WireAddress { ton: 0, npi: 1, value: scene.destination },
        esm_class: 0,
        registered_delivery: 0,
        data_coding: 8,
        short_message: &text,
    };
    let mut pdu = Vec::new();
    write::message(&mut pdu, Command::SubmitSm, sequence_number, fields, |out| {
        if let Some(number) = scene.callback_num {
            write::tlv(out, Tag::CALLBACK_NUM, number);
        }
    });
    pdu
}
