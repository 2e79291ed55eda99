//! What is allowed and rarely wanted in production. `check` prints these and `run` logs them.

use super::{
    CaptureText, Config, Durability, MirrorKind, MirrorNumbers, Mode, OverrideMode, Place,
    RecordedContent, Review, RuleSet, UnknownCommand, Way,
};
use crate::postgres::Encryption;

impl RuleSet {
    /// Calendar months that the law wants records kept: Order 31 art. 11 five, Order 74 six.
    pub const fn keep_months_min(self) -> u32 {
        match self {
            RuleSet::CnDraft2014 | RuleSet::CnOrder31 => 5,
            RuleSet::CnOrder74 => 6,
        }
    }
}

pub(super) fn warnings(config: &Config) -> Vec<String> {
    let rules = &config.rules;
    let mut warnings = Vec::new();
    if rules.set != RuleSet::CnOrder74 {
        warnings.push(format!("[rules] set {} is no longer the law in force", rules.set.name()));
    }
    if rules.mode == Mode::Observe {
        warnings.push("[rules] mode observe forwards what the law forbids".to_owned());
    }
    for (rule, one) in &rules.overrides {
        match one.mode {
            Some(OverrideMode::Off) => warnings.push(format!("rule {rule} is off")),
            Some(OverrideMode::Observe) if rules.mode == Mode::Enforce => {
                warnings.push(format!("rule {rule} only observes"));
            }
            _ => {}
        }
    }
    if rules.unknown_command == UnknownCommand::Forward {
        warnings.push("[rules] unknown_command forward lets text pass unjudged".to_owned());
    }
    let least = rules.set.keep_months_min();
    if config.audit.keep_months < least {
        warnings.push(format!(
            "[audit] keep_months {} is below the {least} that {} asks for",
            config.audit.keep_months,
            rules.set.name(),
        ));
    }
    if config.audit.content == RecordedContent::None {
        warnings.push(format!(
            "[audit] content none does not keep the texts that {} asks for of messages from ports",
            rules.set.name(),
        ));
    }
    if config.audit.durability == Durability::Queued {
        warnings.push("[audit] durability queued loses records with the process".to_owned());
    }
    if config.consent.review == Review::Lenient {
        warnings
            .push("[consent] review lenient lets proofs count that nobody looked at".to_owned());
    }
    match &config.consent.place {
        Place::Shared(shared)
            if shared.url.encryption() != Encryption::VerifyFull && !shared.url.is_local() =>
        {
            warnings.push("[consent] url does not say sslmode=verify-full".to_owned());
        }
        Place::Folder(_) if config.cluster.nodes > 1 => {
            warnings.push(format!(
                "[cluster] nodes {}: without [consent] url no node knows what another was told",
                config.cluster.nodes
            ));
        }
        Place::Shared(_) | Place::Folder(_) => {}
    }
    for mirror in &config.mirrors {
        let name = &mirror.name;
        if mirror.numbers == MirrorNumbers::Whole {
            warnings.push(format!("[[mirror]] {name}: numbers whole shows persons' numbers"));
        }
        if mirror.content && config.audit.content == RecordedContent::None {
            warnings.push(format!(
                "[[mirror]] {name}: content is never there: [audit] content records none"
            ));
        }
        let says = match &mirror.kind {
            MirrorKind::File { .. } => None,
            MirrorKind::Postgres { url, .. } if url.is_local() => None,
            MirrorKind::Postgres { url, .. } => match url.encryption() {
                Encryption::Disable | Encryption::Prefer => Some(UNENCRYPTED),
                Encryption::Require | Encryption::VerifyCa => {
                    Some("url does not say sslmode=verify-full")
                }
                Encryption::VerifyFull => None,
            },
            MirrorKind::Kafka { brokers, .. } => {
                let is_local = brokers.iter().all(|broker| is_local(broker));
                (!is_local).then_some(UNENCRYPTED)
            }
        };
        warnings.extend(says.map(|says| format!("[[mirror]] {name}: {says}")));
    }
    for stream in &config.streams {
        let name = &stream.name;
        if matches!(stream.way, Way::Out { numbers: MirrorNumbers::Whole, .. }) {
            warnings.push(format!("[[stream]] {name}: numbers whole shows persons' numbers"));
        }
        if !stream.brokers.iter().all(|broker| is_local(broker)) {
            warnings.push(format!("[[stream]] {name}: events cross the network unencrypted"));
        }
    }
    if config.capture.text == CaptureText::Whole {
        warnings.push("[capture] text whole keeps the texts of messages in files".to_owned());
    }
    if let Some(admin) = &config.admin
        && !admin.address.ip().is_loopback()
        && admin.token_file.is_none()
    {
        warnings
            .push("[admin] without token_file, /api/v1 is served to this machine only".to_owned());
    }
    warnings
}

const UNENCRYPTED: &str = "records leave this machine unencrypted";

/// Whether `host:port` is of this machine.
fn is_local(address: &str) -> bool {
    ["127.", "localhost", "[::1]"].iter().any(|one| address.starts_with(one))
}
