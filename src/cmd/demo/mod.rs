//! `consentry demo`: the main job on this machine with nothing else installed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::consent;
use super::sockets::{Addresses, Given};
use super::{Answer, Failure, knowledge, serve};
use crate::audit::verify;
use crate::peer::esme::Esme;
use crate::peer::smsc::{Options, Smsc};
use crate::policy::Rule;
use crate::smpp::{Command, CommandStatus};

mod day;
mod handed;
mod scene;
mod shop;

use shop::Shop;

/// Shows the main job on loopback: proxy, SMSC and ESMEs, real PDUs, each verdict with its reason,
/// the journal verified, and its records handed over, at the end.
#[derive(clap::Args)]
pub struct Args {
    /// Leave consentry.toml, registry.toml, state/, traces/ and export/ in this new folder, for the other commands.
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

[[provider.code]]
number     = "106900009999"
purpose    = "commercial"
signatures = ["示例商城"]
requests   = ["ask.txt"]

[[provider]]
name       = "另一家科技有限公司"
system_ids = ["other1"]
licence    = { number = "B2-20260002", valid_until = 2099-12-31 }
identity   = "verified"

[[provider.code]]
number     = "106900005678"
digits_max = 16
purpose    = "service"
regions    = ["138"]

[[provider.code]]
number     = "106900007777"
purpose    = "public"

[[provider]]
name       = "待核实有限公司"
system_ids = ["pending1"]
licence    = { number = "B2-20260004", valid_until = 2099-12-31 }
identity   = "pending"

[[provider]]
name       = "过期许可有限公司"
system_ids = ["lapsed1"]
licence    = { number = "B2-20200003", valid_until = 2025-12-31 }
identity   = "verified"
"#;

/// Who consented: what the shop hands in, reviewed, and whom it asked. The proof is a form on the web, of
/// which only the digest is kept.
const CONSENTS: &str = "number,entity,event,time,until,proof,proof_sha256,review\n\
    13800138000,示例商城有限公司,granted,2026-05-06T10:00:00+08:00,,web,\
    9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08,reviewed\n\
    13700137000,示例商城有限公司,granted,2026-05-06T10:00:00+08:00,,web,\
    9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08,reviewed\n\
    13600136000,示例商城有限公司,granted,2020-01-01T10:00:00+08:00,2020-12-31,web,\
    9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08,reviewed\n\
    13500135000,示例商城有限公司,asked,2026-05-06T10:00:00+08:00,,,,\n";

/// What the registry and the configuration name beside themselves.
const FILES: [(&str, &str); 2] = [
    ("ask.txt", "您是否愿意每月收到最多四次优惠信息？回复Y同意，不回复视为拒绝。\n"),
    ("prohibited.txt", "示例禁词\n"),
];

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

[consent]
path = "state/consent"

[content]
prohibited = ["prohibited.txt"]

[audit]
path = "state/audit"
durability = "synced"

[admin]
address = "127.0.0.1:0"
"#
    )
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
        println!(
            "\nkept in {}: consentry.toml, registry.toml, state/, traces/, export/",
            folder.display()
        );
    } else {
        // What is left in the temporary folder harms nobody, if it cannot be removed.
        let _ = std::fs::remove_dir_all(&folder);
    }
    answer
}

fn play(folder: &Path) -> Result<Answer, Failure> {
    let smsc = Smsc::start(Options { received_max: RECEIVED_MAX, ..Options::default() })?;
    std::fs::write(folder.join("registry.toml"), REGISTRY)?;
    for (name, text) in FILES {
        std::fs::write(folder.join(name), text)?;
    }
    let config_file = folder.join("consentry.toml");
    std::fs::write(&config_file, configuration(&smsc.address().to_string()))?;
    let consents = folder.join("consents.csv");
    std::fs::write(&consents, CONSENTS)?;
    let imported = consent::import(&config_file, &consents)?;
    let loaded = knowledge::load(&config_file)?;
    let (journal, keys) = (loaded.config.audit.path.clone(), loaded.config.audit.keys.clone());
    let rule_set = loaded.knowledge.rule_set;
    let addresses = Addresses::take(&loaded.config, Given::default())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut right = runtime.block_on(async {
        let running = serve::start(loaded, addresses, Duration::ZERO).await?;
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
        let mut shop = Shop::open(proxy, &smsc, rule_set).await?;
        shop.play(&scene::senders()).await?;
        println!();
        shop.play(&scene::advertising()).await?;
        shop.hear("退订").await?;
        shop.play(&scene::refused()).await?;
        let arrived = shop.arrived;
        println!("\n{arrived} messages at the SMSC, each the very octets that the ESME sent");
        right &= shop.right;
        right &= running.stop().await?;
        Ok::<bool, Failure>(right)
    })?;
    let verified = verify(&journal)?;
    let whole = verified.records;
    println!("\njournal   {whole} records, every one under the hash chain, verified");
    right &= whole > 0 && imported == Answer::Yes;
    right &= day::replay(&folder.join("traces"))?;
    right &= handed::over(folder, &journal, &keys)?;
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
