//! From the files that users write to what sessions judge by.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Failure;
use crate::audit::Ruling;
use crate::config::{self, Config};
use crate::content::{Prohibited, Reader, Templates};
use crate::policy::{Horizon, Mode, Modes, ReviewPolicy, Rule, RuleSet};
use crate::registry::{self, Registry, Template};
use crate::session::originals::Originals;
use crate::session::{
    ASKED_MAX, Asked, CodeTemplates, HoldTimes, Joinings, KeepContent, Knowledge, LongMessages,
    MultiPolicy, StatusStyle, Statuses, Texts, UnknownCommand,
};
use crate::text::joining::{Limits, PART_OCTETS_MAX};
use crate::text::{self, DefaultAlphabet};

/// Configuration and knowledge, and what identifies them in the journal.
pub(super) struct Loaded {
    /// Where consentry.toml is.
    pub(super) file: PathBuf,
    /// The other files that were read.
    pub(super) files: Vec<PathBuf>,
    /// consentry.toml.
    pub(super) config: Config,
    /// What sessions judge by.
    pub(super) knowledge: Knowledge,
    /// SHA-256 over configuration, registry, templates, weights and lists.
    pub(super) digest: [u8; 32],
}

/// Reads consentry.toml alone.
pub(super) fn load_config(config_file: &Path) -> Result<Config, Failure> {
    let rule_names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    Ok(config::load(config_file, &rule_names)?)
}

/// Reads consentry.toml and the registry that it names.
pub(super) fn load(config_file: &Path) -> Result<Loaded, Failure> {
    load_after(config_file, None)
}

/// The same, where a classifier is there already that may be the one that is meant.
pub(super) fn load_after(
    config_file: &Path,
    known: Option<&Arc<Reader>>,
) -> Result<Loaded, Failure> {
    let config = load_config(config_file)?;
    let name = config.registry_file.display().to_string();
    let text = std::fs::read_to_string(&config.registry_file)
        .map_err(|error| Failure(format!("{name} cannot be read: {error}; see [registry] file")))?;
    let registry = registry::parse(&text, &name)?;
    let modes = modes(&config)?;
    let mut files = Files::default();
    let templates = templates(&config, &registry, &text, &mut files)?;
    let reader = reader(&config, known, &mut files)?;
    let texts = Texts::new(reader, prohibited(&config, &mut files)?, templates, &modes);
    let digest = Sha256::new()
        .chain_update(config.digest)
        .chain_update(registry.digest())
        .chain_update(files.digest.finalize())
        .chain_update(texts.version())
        .finalize();
    files.paths.push(config.registry_file.clone());
    for one in &config.listen {
        let tls = one
            .tls
            .iter()
            .flat_map(|tls| [&tls.certificate, &tls.key].into_iter().chain(&tls.client_ca));
        let smsc = one.smsc_tls.iter().flat_map(|tls| {
            let own = tls.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
            own.chain([&tls.ca])
        });
        files.paths.extend(tls.chain(smsc).cloned());
    }
    let originals_max = u32::try_from(config.limits.originals).unwrap_or(u32::MAX);
    let providers = registry.providers().len();
    let asks_receipts = config.listen.iter().any(|one| one.receipts == config::Receipts::Ask);
    let rule_set = RuleSet::from_name(config.rules.set.name()).unwrap_or_default();
    let knowledge = Knowledge {
        ruling: ruling((digest.into(), config.digest), rule_set, &registry, &texts),
        long_messages: long_messages(&config.long_messages),
        joinings: Joinings::new(providers, part_limits(&config.long_messages)),
        whole_within_us: match config.consent.place {
            config::Place::Folder(_) => None,
            config::Place::Shared(_) => Some(micros(config.long_messages.deadline)),
        },
        review: match config.consent.review {
            config::Review::Strict => ReviewPolicy::Strict,
            config::Review::Lenient => ReviewPolicy::Lenient,
        },
        content: match config.audit.content {
            config::RecordedContent::None => KeepContent::None,
            config::RecordedContent::Ports => KeepContent::Ports,
            config::RecordedContent::All => KeepContent::All,
        },
        horizon: Horizon {
            begin_us: micros(config.consent.schedule_max),
            end_us: micros(config.consent.validity_max),
        },
        rule_set,
        statuses: statuses(&config),
        unknown_command: match config.rules.unknown_command {
            config::UnknownCommand::Refuse => UnknownCommand::Refuse,
            config::UnknownCommand::Forward => UnknownCommand::Forward,
        },
        submit_multi: match config.rules.submit_multi {
            config::SubmitMulti::Whole => MultiPolicy::Whole,
            config::SubmitMulti::Narrow => MultiPolicy::Narrow,
        },
        pdu_octets_max: config.limits.pdu_octets,
        sessions_per_provider_max: config.limits.sessions_per_provider.unwrap_or(usize::MAX),
        window_requests_max: config.limits.window,
        originals: Arc::new(Mutex::new(Originals::new(originals_max))),
        originals_max,
        asks_receipts,
        asked: Arc::new(Mutex::new(Asked::new(if asks_receipts { ASKED_MAX } else { 0 }))),
        ..Knowledge::new(registry, texts, modes)
    };
    let (file, files) = (config_file.to_owned(), files.paths);
    Ok(Loaded { file, files, config, knowledge, digest: digest.into() })
}

/// Files beside configuration and registry: where they are, and SHA-256 over what they hold.
#[derive(Default)]
struct Files {
    paths: Vec<PathBuf>,
    digest: Sha256,
}

impl Files {
    fn note(&mut self, path: PathBuf, text: &str) {
        self.paths.push(path);
        self.digest.update(text);
    }
}

/// How the journal names what is in force.
fn ruling(
    (rules, config): ([u8; 32], [u8; 32]),
    rule_set: RuleSet,
    registry: &Registry,
    texts: &Texts,
) -> Ruling {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let providers = registry.providers();
    Ruling {
        rules,
        config,
        rule_set: rule_set.name().to_owned(),
        registry: *registry.digest(),
        providers: count(providers.len()),
        codes: count(providers.iter().map(|provider| provider.codes.len()).sum()),
        reading: texts.version(),
    }
}

fn long_messages(config: &config::LongMessages) -> LongMessages {
    match config.mode {
        config::PartsMode::Progressive => LongMessages::Progressive,
        config::PartsMode::Hold => LongMessages::Hold(HoldTimes {
            deadline_us: micros(config.deadline),
            silence_us: micros(config.silence),
        }),
    }
}

fn part_limits(config: &config::LongMessages) -> Limits {
    let most = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let default = Limits::default();
    Limits {
        parts_max: u8::try_from(config.parts).unwrap_or(u8::MAX),
        messages_max: most(config.messages),
        held_max: most(config.octets / PART_OCTETS_MAX),
        // A message is not forgotten while parts of it may wait.
        wait_us: default.wait_us.max(2 * micros(config.deadline)),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// How the SMSC behind a listener reads texts.
pub(super) fn text_options(listen: &config::Listen) -> text::Options {
    let default_alphabet = match listen.default_alphabet {
        config::Alphabet::Latin1 => DefaultAlphabet::Latin1,
        config::Alphabet::Ascii => DefaultAlphabet::Ascii,
        config::Alphabet::Gbk => DefaultAlphabet::Gbk,
        config::Alphabet::Gsm7 => DefaultAlphabet::Gsm7,
    };
    let packing = match listen.packing {
        config::Packing::Unpacked => text::Packing::Unpacked,
        config::Packing::Packed => text::Packing::Packed,
    };
    text::Options { default_alphabet, packing }
}

/// A file that `[content]` names.
fn content_file(path: &Path, key: &str, files: &mut Files) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure(format!("{} cannot be read: {error}; see [content] {key}", path.display()))
    })?;
    files.note(path.to_owned(), &text);
    Ok(text)
}

fn reader(
    config: &Config,
    known: Option<&Arc<Reader>>,
    files: &mut Files,
) -> Result<Arc<Reader>, Failure> {
    let path = config.content.weights.as_ref();
    let weights = path.map(|path| content_file(path, "weights", files)).transpose()?;
    if let Some(known) = known.filter(|known| known.is_of(weights.as_deref())) {
        return Ok(known.clone());
    }
    Ok(Arc::new(match path.zip(weights) {
        Some((path, weights)) => Reader::parse(&weights)
            .map_err(|fault| Failure(format!("{}: {fault}", path.display())))?,
        None => Reader::built_in()?,
    }))
}

fn prohibited(config: &Config, files: &mut Files) -> Result<Prohibited, Failure> {
    let lists = config.content.prohibited.iter();
    let lists = lists
        .map(|path| Ok((path.display().to_string(), content_file(path, "prohibited", files)?)));
    let lists = lists.collect::<Result<Vec<(String, String)>, Failure>>()?;
    let lists: Vec<(&str, &str)> =
        lists.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Ok(Prohibited::parse_all(&lists)?)
}

/// The templates of every code, by [`registry::CodeId`]; each set of files is read once. The first
/// file that is missing or at fault is a [`Failure`] with file, line and field.
fn templates(
    config: &Config,
    registry: &Registry,
    written: &str,
    read_files: &mut Files,
) -> Result<Vec<CodeTemplates>, Failure> {
    let mut read = HashMap::new();
    let mut set = |templates: &[Template], field: &str| -> Result<_, Failure> {
        if templates.is_empty() {
            return Ok(None);
        }
        let paths: Vec<&str> = templates.iter().map(|one| one.path.as_str()).collect();
        if let Some(set) = read.get(&paths.join("\n")) {
            return Ok(Some(Arc::clone(set)));
        }
        let texts = templates.iter().map(|one| template(config, one, field, written));
        let texts = texts.collect::<Result<Vec<String>, Failure>>()?;
        let files: Vec<(&str, &str)> =
            paths.iter().copied().zip(texts.iter().map(String::as_str)).collect();
        for (one, text) in templates.iter().zip(&texts) {
            read_files.note(beside_registry(config, &one.path), text);
        }
        let set = Arc::new(Templates::parse_all(&files)?);
        read.insert(paths.join("\n"), Arc::clone(&set));
        Ok(Some(set))
    };
    let codes = registry.providers().iter().flat_map(|provider| &provider.codes);
    let templates = codes.map(|code| {
        let service = set(&code.templates, "templates")?;
        let requests = set(&code.requests, "requests")?;
        Ok(CodeTemplates { service, requests })
    });
    templates.collect()
}

/// A path of the registry: relative to its folder.
fn beside_registry(config: &Config, path: &str) -> PathBuf {
    config.registry_file.parent().unwrap_or(Path::new("")).join(path)
}

/// The text of a template file.
fn template(
    config: &Config,
    template: &Template,
    field: &str,
    written: &str,
) -> Result<String, Failure> {
    let file = &config.registry_file;
    let path = beside_registry(config, &template.path);
    std::fs::read_to_string(&path).map_err(|error| {
        let path = path.display();
        let why =
            format!("the template {path} cannot be read: {error}; put it there or leave it out");
        registry::value_fault(written, &file.display().to_string(), template.at, field, &why).into()
    })
}

fn modes(config: &Config) -> Result<Modes, Failure> {
    let mut modes = Modes::default();
    for rule in Rule::ALL {
        // One mode for all means: for all that may have it. Asked for by name, it is a mistake.
        let named = config.rules.overrides.get(rule.name()).and_then(|one| one.mode).is_some();
        if !rule.may_be_observed() && !named {
            continue;
        }
        if let Some(mode) = Mode::from_name(config.rules.mode_of(rule.name()).name()) {
            modes.set(rule, mode)?;
        }
    }
    Ok(modes)
}

fn statuses(config: &Config) -> Statuses {
    let mut statuses = Statuses::new(match config.rules.status {
        config::Statuses::Compatible => StatusStyle::Compatible,
        config::Statuses::Precise => StatusStyle::Precise,
    });
    for (name, one) in &config.rules.overrides {
        if let (Some(rule), Some(status)) = (Rule::from_name(name), one.status) {
            statuses.set(rule, status);
        }
    }
    statuses
}
