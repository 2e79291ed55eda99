//! What is written to what is meant: bounds, addresses, names of rules and statuses, and settings
//! that must agree with each other.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use super::bounds::{self, Bounds};
use super::cluster::WrittenPlace;
use super::fault::{self, Source};
use super::nearest::nearest;
use super::networks::networks;
use super::written::{self, Size, Time};
use super::{
    AUDIT_PATH, AUDIT_ZONE, CAPTURE_PATH, LongMessages, PartsMode, REGISTRY_FILE, RecordedContent,
    SubmitMulti, UnknownCommand, address, duration, size,
};
use super::{
    Admin, Audit, Capture, Checkpoint, Config, Consent, Content, Fault, Limits, Listen, Log,
    Metrics, Outbind, Override, Place, Review, Timeouts,
};
use super::{
    Alphabet, CaptureText, Durability, LogFormat, LogLevel, Mode, OverrideMode, Packing, Receipts,
    RuleSet, Rules, SecondSender, Statuses,
};
use crate::smpp::CommandStatus;

/// Rules whose refusal may carry a status that ESMEs retry, because the same message may pass later.
/// What the law forbids is forbidden however often it is sent.
pub const RETRIED: [&str; 4] =
    ["rate.exceeded", "audit.unavailable", "ledger.unavailable", "session.draining"];

/// Rules that say what the proxy can do, not what the law asks: they are always enforced. A message
/// that cannot be recorded cannot be forwarded as observed either.
pub const NEVER_LOOSENED: [&str; 2] = ["audit.unavailable", "session.draining"];

pub(super) fn config(
    text: &str,
    file: &str,
    folder: &Path,
    rule_names: &[&str],
) -> Result<Config, Fault> {
    let tree = DeTable::parse(text).map_err(|error| fault::not_toml(file, text, &error))?;
    let source = Source { file, text, tree: tree.get_ref() };
    let written = toml::Deserializer::parse(text)
        .and_then(written::File::deserialize)
        .map_err(|error| source.unreadable(&error))?;
    let (listen, outbind) = listeners(
        &source,
        folder,
        written.listen.unwrap_or_default(),
        written.outbind.unwrap_or_default(),
    )?;
    let registry = written.registry.unwrap_or_default();
    let mirrors = super::mirrors::mirrors(&source, folder, written.mirror.unwrap_or_default())?;
    let config = Config {
        listen,
        outbind,
        limits: limits(&source, written.limits.unwrap_or_default())?,
        timeouts: timeouts(&source, written.timeouts.unwrap_or_default())?,
        rules: rules(&source, written.rules.unwrap_or_default(), rule_names)?,
        registry_file: path(&source, folder, registry.file, REGISTRY_FILE)?,
        cluster: super::cluster::cluster(&source, written.cluster.unwrap_or_default())?,
        consent: consent(&source, folder, written.consent.unwrap_or_default())?,
        content: content(&source, folder, written.content.unwrap_or_default())?,
        long_messages: long_messages(&source, written.long_messages.unwrap_or_default())?,
        audit: audit(&source, folder, written.audit.unwrap_or_default())?,
        streams: super::streams::streams(&source, written.stream.unwrap_or_default(), &mirrors)?,
        mirrors,
        traces: written.traces.map(|one| super::traces::traces(&source, one)).transpose()?,
        capture: capture(&source, folder, written.capture.unwrap_or_default())?,
        reload: super::reload::reload(&source, written.reload.unwrap_or_default())?,
        metrics: Metrics {
            providers: written.metrics.unwrap_or_default().providers.unwrap_or(false),
        },
        admin: written.admin.map(|admin| self::admin(&source, folder, admin)).transpose()?,
        log: log(written.log.unwrap_or_default()),
        digest: super::digest(text),
    };
    let (key, kept) = match &config.consent.place {
        Place::Folder(folder) => ("path", folder),
        Place::Shared(shared) => ("outbox", &shared.outbox),
    };
    let twice = |other: &str| {
        source.whole(format_args!("[consent] {key} and {other} are the same folder; write two"))
    };
    match kept {
        kept if *kept == config.audit.path => Err(twice("[audit] path")),
        kept if *kept == config.capture.path => Err(twice("[capture] path")),
        kept if *kept == config.audit.keys => Err(twice("[audit] keys")),
        _ if config.audit.keys.starts_with(&config.audit.path) => Err(source.whole(
            "[audit] keys is in the journal's folder: who copies one has both; write another",
        )),
        _ if config.audit.keys == config.capture.path => {
            Err(source.whole("[capture] path and [audit] keys are the same folder; write two"))
        }
        _ if config.capture.path == config.audit.path => {
            Err(source.whole("[capture] path and [audit] path are the same folder; write two"))
        }
        _ => Ok(config),
    }
}

fn listeners(
    source: &Source<'_>,
    folder: &Path,
    listen: Vec<Spanned<written::Listen>>,
    outbind: Vec<Spanned<written::Outbind>>,
) -> Result<(Vec<Listen>, Vec<Outbind>), Fault> {
    if listen.is_empty() && outbind.is_empty() {
        return Err(source.whole("there is no [[listen]]; write one with address and smsc"));
    }
    if listen.len() + outbind.len() > bounds::LISTEN_MAX {
        return Err(source.whole(format_args!(
            "there are more than {} [[listen]] and [[outbind]] together",
            bounds::LISTEN_MAX
        )));
    }
    let mut taken = HashSet::new();
    let mut ours = |written: &Spanned<String>| {
        let address = address::own(written.get_ref())
            .map_err(|fault| source.fault(written.span(), quoted(written, fault)))?;
        if address.port() != 0 && !taken.insert(address) {
            return Err(source.fault(written.span(), quoted(written, "is listened on already")));
        }
        Ok(address)
    };
    let mut listens = Vec::new();
    for written in listen.into_iter().map(Spanned::into_inner) {
        let enquire_link = match written.enquire_link {
            Some(idle) => Some(time(source, Some(idle), bounds::ENQUIRE_LINK)?),
            None => None,
        };
        listens.push(Listen {
            address: ours(&written.address)?,
            smsc: super::upstreams::upstreams(source, written.smsc, written.address.get_ref())?,
            enquire_link,
            default_alphabet: written.default_alphabet.unwrap_or(Alphabet::Gsm7),
            packing: written.packing.unwrap_or(Packing::Unpacked),
            receipts: written.receipts.unwrap_or(Receipts::AsAsked),
            second_sender: written.second_sender.unwrap_or(SecondSender::Refuse),
            tls: written.tls.map(|tls| super::tls::tls(source, folder, tls)).transpose()?,
            smsc_tls: written
                .smsc_tls
                .map(|tls| super::tls::smsc_tls(source, folder, tls))
                .transpose()?,
            proxy_protocol: networks(source, written.proxy_protocol)?,
            smsc_proxy_protocol: written.smsc_proxy_protocol,
            allow: networks(source, written.allow)?,
        });
    }
    let mut outbinds = Vec::new();
    for written in outbind.into_iter().map(Spanned::into_inner) {
        outbinds.push(Outbind {
            address: ours(&written.address)?,
            esme: peers(source, &written.esme, written.address.get_ref())?,
        });
    }
    Ok((listens, outbinds))
}

fn peers(
    source: &Source<'_>,
    written: &Spanned<Vec<Spanned<String>>>,
    own: &str,
) -> Result<Vec<String>, Fault> {
    let count = written.get_ref().len();
    if !(1..=bounds::PEERS_MAX).contains(&count) {
        let says = format_args!("has {count} addresses; write 1 to {}", bounds::PEERS_MAX);
        return Err(source.fault(written.span(), says));
    }
    let mut peers: Vec<String> = Vec::new();
    for peer in written.get_ref() {
        let fault = |says: &dyn Display| source.fault(peer.span(), quoted(peer, says));
        address::peer(peer.get_ref()).map_err(|why| fault(&why))?;
        if peer.get_ref() == own {
            return Err(fault(&"is this listener itself"));
        }
        if peers.contains(peer.get_ref()) {
            return Err(fault(&"is there twice"));
        }
        peers.push(peer.get_ref().clone());
    }
    Ok(peers)
}

fn limits(source: &Source<'_>, written: written::Limits) -> Result<Limits, Fault> {
    let session_buffer_at = written.session_buffer.as_ref().map(Spanned::span);
    let buffered_at = written.buffered.as_ref().map(Spanned::span);
    let pdu_at = written.pdu.as_ref().map(Spanned::span);
    let per_address_at = written.sessions_per_address.as_ref().map(Spanned::span);
    let threads = match written.threads {
        Some(threads) => Some(count(source, Some(threads), bounds::THREADS)?),
        None => None,
    };
    let sessions_per_provider = match written.sessions_per_provider {
        Some(count) => Some(self::count(source, Some(count), bounds::SESSIONS_PER_PROVIDER)?),
        None => None,
    };
    let mut limits = Limits {
        threads,
        sessions_per_provider,
        bind_failures: count(source, written.bind_failures, bounds::BIND_FAILURES)?,
        sessions: count(source, written.sessions, bounds::SESSIONS)?,
        sessions_per_address: count(
            source,
            written.sessions_per_address,
            bounds::SESSIONS_PER_ADDRESS,
        )?,
        pdu_octets: octets(source, written.pdu, bounds::PDU_OCTETS)?,
        session_buffer_octets: octets(
            source,
            written.session_buffer,
            bounds::SESSION_BUFFER_OCTETS,
        )?,
        buffered_octets: octets(source, written.buffered, bounds::BUFFERED_OCTETS)?,
        originals: count(source, written.originals, bounds::ORIGINALS)?,
        window: count(source, written.window, bounds::WINDOW)?,
    };
    if limits.sessions_per_address > limits.sessions {
        match per_address_at {
            Some(at) => return Err(source.fault(at, "is above sessions")),
            None => limits.sessions_per_address = limits.sessions,
        }
    }
    if limits.session_buffer_octets < limits.pdu_octets {
        let says = "leaves no room for one PDU: session_buffer must be at least as large as pdu";
        return Err(source.fault_at_one_of([session_buffer_at, pdu_at], says));
    }
    if limits.buffered_octets < 2 * limits.session_buffer_octets {
        let says = "leaves no room for one session: buffered must be at least twice session_buffer";
        return Err(source.fault_at_one_of([buffered_at, session_buffer_at], says));
    }
    Ok(limits)
}

fn timeouts(source: &Source<'_>, written: written::Timeouts) -> Result<Timeouts, Fault> {
    Ok(Timeouts {
        bind: time(source, written.bind, bounds::BIND)?,
        connect: time(source, written.connect, bounds::CONNECT)?,
        ejection: time(source, written.ejection, bounds::EJECTION)?,
        handshake: time(source, written.handshake, bounds::HANDSHAKE)?,
        idle: time(source, written.idle, bounds::IDLE)?,
        response: time(source, written.response, bounds::RESPONSE)?,
        write: time(source, written.write, bounds::WRITE)?,
        keepalive: time(source, written.keepalive, bounds::KEEPALIVE)?,
        user_timeout: time(source, written.user_timeout, bounds::USER_TIMEOUT)?,
        drain: time(source, written.drain, bounds::DRAIN)?,
        close: time(source, written.close, bounds::CLOSE)?,
    })
}

fn rules(
    source: &Source<'_>,
    written: written::Rules,
    rule_names: &[&str],
) -> Result<Rules, Fault> {
    let mut overrides = BTreeMap::new();
    for (name, written) in written.overrides.unwrap_or_default() {
        if !rule_names.contains(&name.get_ref().as_str()) {
            let advice = match nearest(name.get_ref(), rule_names.iter().copied()) {
                Some(known) => format!("did you mean {known}?"),
                None => "consentry check lists the rules".to_owned(),
            };
            return Err(source.fault(name.span(), format_args!("names no rule; {advice}")));
        }
        let one = one_override(source, &name, written.get_ref())?;
        overrides.insert(name.into_inner(), one);
    }
    Ok(Rules {
        set: written.set.unwrap_or(RuleSet::CnOrder74),
        mode: written.mode.unwrap_or(Mode::Enforce),
        status: written.status.unwrap_or(Statuses::Compatible),
        submit_multi: written.submit_multi.unwrap_or(SubmitMulti::Whole),
        unknown_command: written.unknown_command.unwrap_or(UnknownCommand::Refuse),
        overrides,
    })
}

fn one_override(
    source: &Source<'_>,
    name: &Spanned<String>,
    written: &written::Override,
) -> Result<Override, Fault> {
    let rule = name.get_ref().as_str();
    if written.mode.is_none() && written.status.is_none() {
        return Err(source.fault(name.span(), "changes nothing; write a mode, a status or both"));
    }
    if let Some(mode) = &written.mode
        && *mode.get_ref() != OverrideMode::Enforce
        && NEVER_LOOSENED.contains(&rule)
    {
        let says = "must stay enforce: this rule says what the proxy can do, not what the law asks";
        return Err(source.fault(mode.span(), says));
    }
    let status = written.status.as_ref().map(|status| self::status(source, rule, status));
    Ok(Override {
        mode: written.mode.as_ref().map(|mode| *mode.get_ref()),
        status: status.transpose()?,
    })
}

fn status(
    source: &Source<'_>,
    rule: &str,
    written: &Spanned<String>,
) -> Result<CommandStatus, Fault> {
    let fault = |says: &dyn Display| source.fault(written.span(), quoted(written, says));
    let Some(status) = CommandStatus::from_name(written.get_ref()) else {
        let names = CommandStatus::ALL.iter().filter_map(|status| status.name());
        let advice = match nearest(written.get_ref(), names) {
            Some(name) => format!("is no status; did you mean {name}?"),
            None => "is no status; write a name of SMPP 3.4 5.1.3, such as ESME_RSUBMITFAIL".into(),
        };
        return Err(fault(&advice));
    };
    if status.is_ok() {
        return Err(fault(&"tells the ESME that the message was taken; write an error's name"));
    }
    if status.is_retried() && !RETRIED.contains(&rule) {
        return Err(fault(&"makes ESMEs send again what the law forbids; write ESME_RSUBMITFAIL"));
    }
    Ok(status)
}

fn consent(
    source: &Source<'_>,
    folder: &Path,
    written: written::Consent,
) -> Result<Consent, Fault> {
    Ok(Consent {
        place: super::cluster::place(
            source,
            folder,
            WrittenPlace {
                path: written.path,
                url: written.url,
                password: written.password,
                outbox: written.outbox,
                staleness: written.staleness,
                deadline: written.deadline,
            },
        )?,
        review: written.review.unwrap_or(Review::Strict),
        cache_octets: octets(source, written.cache, bounds::CACHE_OCTETS)?,
        silent_after: time(source, written.silent_after, bounds::SILENT_AFTER)?,
        schedule_max: time(source, written.schedule_max, bounds::SCHEDULE_MAX)?,
        validity_max: time(source, written.validity_max, bounds::VALIDITY_MAX)?,
    })
}

fn content(
    source: &Source<'_>,
    folder: &Path,
    written: written::Content,
) -> Result<Content, Fault> {
    let weights = match written.weights {
        Some(weights) => Some(path(source, folder, Some(weights), "")?),
        None => None,
    };
    let mut prohibited = Vec::new();
    if let Some(lists) = written.prohibited {
        if lists.get_ref().len() > bounds::LISTS_MAX {
            let says = format!("names more than {} lists; join some", bounds::LISTS_MAX);
            return Err(source.fault(lists.span(), says));
        }
        for list in lists.into_inner() {
            prohibited.push(path(source, folder, Some(list), "")?);
        }
    }
    Ok(Content { weights, prohibited })
}

fn long_messages(
    source: &Source<'_>,
    written: written::LongMessages,
) -> Result<LongMessages, Fault> {
    Ok(LongMessages {
        mode: written.mode.unwrap_or(PartsMode::Progressive),
        deadline: time(source, written.deadline, bounds::PARTS_DEADLINE)?,
        silence: time(source, written.silence, bounds::PARTS_SILENCE)?,
        parts: count(source, written.parts, bounds::PARTS)?,
        messages: count(source, written.messages, bounds::PARTS_MESSAGES)?,
        octets: octets(source, written.octets, bounds::PARTS_OCTETS)?,
    })
}

fn audit(source: &Source<'_>, folder: &Path, written: written::Audit) -> Result<Audit, Fault> {
    let keep_months = count(source, written.keep_months, bounds::KEEP_MONTHS)?;
    let segment_octets = octets(source, written.segment, bounds::SEGMENT_OCTETS)?;
    let disk_budget_octets = disk_budget(source, written.disk_budget, segment_octets)?;
    let journal = path(source, folder, written.path, AUDIT_PATH)?;
    let keys = match written.keys {
        Some(keys) => path(source, folder, Some(keys), "")?,
        None => super::keys_beside(&journal),
    };
    let mut auditors = Vec::new();
    if let Some(files) = written.auditors {
        if files.get_ref().len() > bounds::AUDITORS_MAX {
            let says = format!("names more than {} files", bounds::AUDITORS_MAX);
            return Err(source.fault(files.span(), says));
        }
        for file in files.into_inner() {
            auditors.push(path(source, folder, Some(file), "")?);
        }
    }
    let content = match written.content {
        Some(content) if *content.get_ref() != RecordedContent::None && auditors.is_empty() => {
            let says = "is encrypted for auditors, and there are none; make a pair of keys with \
                        `consentry audit keys new-auditor` and name the public one in auditors";
            return Err(source.fault(content.span(), says));
        }
        content => content.map_or(RecordedContent::None, Spanned::into_inner),
    };
    let checkpoint = written.checkpoint.unwrap_or_default();
    Ok(Audit {
        path: journal,
        keys,
        auditors,
        content,
        checkpoint: Checkpoint {
            records: count(source, checkpoint.records, bounds::CHECKPOINT_RECORDS)?,
            every: time(source, checkpoint.every, bounds::CHECKPOINT_EVERY)?,
        },
        durability: written.durability.unwrap_or(Durability::Synced),
        parquet: written.parquet.unwrap_or(true),
        zone: zone(source, written.zone)?,
        keep_months: u32::try_from(keep_months).unwrap_or(u32::MAX),
        segment_octets,
        disk_budget_octets,
    })
}

/// Whole segments are purged: a budget of less than two could never be kept.
fn disk_budget(
    source: &Source<'_>,
    written: Option<Spanned<Size>>,
    segment_octets: usize,
) -> Result<Option<usize>, Fault> {
    let Some(written) = written else { return Ok(None) };
    let at = written.span();
    let budget = octets(source, Some(written), bounds::DISK_BUDGET_OCTETS)?;
    if budget / 2 < segment_octets {
        let says = format_args!(
            "is {}; write at least twice [audit] segment, which is {}",
            size::text(budget),
            size::text(segment_octets)
        );
        return Err(source.fault(at, says));
    }
    Ok(Some(budget))
}

fn zone(source: &Source<'_>, written: Option<Spanned<String>>) -> Result<String, Fault> {
    let Some(written) = written else { return Ok(AUDIT_ZONE.to_owned()) };
    match jiff::tz::TimeZone::get(written.get_ref()) {
        Ok(_) => Ok(written.into_inner()),
        Err(_) => {
            let says = quoted(&written, "is no time zone; write one such as Asia/Shanghai");
            Err(source.fault(written.span(), says))
        }
    }
}

fn capture(
    source: &Source<'_>,
    folder: &Path,
    written: written::Capture,
) -> Result<Capture, Fault> {
    let names = |list: Option<Spanned<Vec<String>>>| {
        let Some(list) = list else { return Ok(Vec::new()) };
        if list.get_ref().len() > bounds::CAPTURE_NAMES_MAX {
            let says = format!("names more than {}", bounds::CAPTURE_NAMES_MAX);
            return Err(source.fault(list.span(), says));
        }
        Ok(list.into_inner())
    };
    Ok(Capture {
        enabled: written.enabled.unwrap_or(false),
        path: path(source, folder, written.path, CAPTURE_PATH)?,
        file_octets: octets(source, written.file_size, bounds::CAPTURE_FILE_OCTETS)?,
        files: count(source, written.files, bounds::CAPTURE_FILES)?,
        providers: names(written.providers)?,
        sources: names(written.sources)?,
        verdicts: written.verdicts.unwrap_or_default(),
        text: written.text.unwrap_or(CaptureText::Redacted),
    })
}

fn admin(source: &Source<'_>, folder: &Path, written: written::Admin) -> Result<Admin, Fault> {
    let at = written.address.span();
    let address = address::own(written.address.get_ref())
        .map_err(|fault| source.fault(at, quoted(&written.address, fault)))?;
    let token_file = match written.token_file {
        Some(file) => Some(path(source, folder, Some(file), "")?),
        None => None,
    };
    Ok(Admin { address, token_file })
}

fn log(written: written::Log) -> Log {
    Log {
        format: written.format.unwrap_or(LogFormat::Text),
        level: written.level.unwrap_or(LogLevel::Info),
    }
}

pub(super) fn path(
    source: &Source<'_>,
    folder: &Path,
    written: Option<Spanned<String>>,
    default: &str,
) -> Result<PathBuf, Fault> {
    match written {
        Some(written)
            if written.get_ref().trim().is_empty() || written.get_ref().contains('\0') =>
        {
            Err(source.fault(written.span(), "is not a path"))
        }
        Some(written) => Ok(folder.join(written.get_ref())),
        None => Ok(folder.join(default)),
    }
}

pub(super) fn count(
    source: &Source<'_>,
    written: Option<Spanned<u32>>,
    bounds: Bounds<usize>,
) -> Result<usize, Fault> {
    let written = written.map(|number| (number.span(), *number.get_ref() as usize));
    within(source, written, bounds, |number| number.to_string())
}

pub(super) fn octets(
    source: &Source<'_>,
    written: Option<Spanned<Size>>,
    bounds: Bounds<usize>,
) -> Result<usize, Fault> {
    within(source, written.map(|size| (size.span(), size.get_ref().0)), bounds, size::text)
}

pub(super) fn time(
    source: &Source<'_>,
    written: Option<Spanned<Time>>,
    bounds: Bounds<Duration>,
) -> Result<Duration, Fault> {
    within(source, written.map(|time| (time.span(), time.get_ref().0)), bounds, duration::text)
}

fn within<T: Copy + PartialOrd>(
    source: &Source<'_>,
    written: Option<(Range<usize>, T)>,
    bounds: Bounds<T>,
    text: fn(T) -> String,
) -> Result<T, Fault> {
    let Some((at, value)) = written else { return Ok(bounds.default) };
    if value < bounds.min || value > bounds.max {
        let (min, max) = (text(bounds.min), text(bounds.max));
        let says = format_args!("is {}; it may be {min} to {max}", text(value));
        return Err(source.fault(at, says));
    }
    Ok(value)
}

pub(super) fn quoted(written: &Spanned<String>, says: impl Display) -> String {
    format!("{:?} {says}", written.get_ref())
}
