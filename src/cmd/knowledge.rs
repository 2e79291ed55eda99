//! From the files that users write to what sessions judge by.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::Failure;
use crate::config::{self, Config};
use crate::policy::{Mode, Modes, Rule, RuleSet};
use crate::registry;
use crate::session::{Knowledge, Rates, StatusStyle, Statuses, UnknownCommand};

/// Configuration and knowledge, and what identifies them in the journal.
pub(super) struct Loaded {
    /// consentry.toml.
    pub(super) config: Config,
    /// What sessions judge by.
    pub(super) knowledge: Knowledge,
    /// SHA-256 over the digests of configuration and registry.
    pub(super) digest: [u8; 32],
}

/// Reads consentry.toml alone.
pub(super) fn load_config(config_file: &Path) -> Result<Config, Failure> {
    let rule_names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    Ok(config::load(config_file, &rule_names)?)
}

/// Reads consentry.toml and the registry that it names.
pub(super) fn load(config_file: &Path) -> Result<Loaded, Failure> {
    let config = load_config(config_file)?;
    let name = config.registry_file.display().to_string();
    let text = std::fs::read_to_string(&config.registry_file)
        .map_err(|error| Failure(format!("{name} cannot be read: {error}; see [registry] file")))?;
    let registry = registry::parse(&text, &name)?;
    let digest =
        Sha256::new().chain_update(config.digest).chain_update(registry.digest()).finalize();
    let knowledge = Knowledge {
        rule_set: RuleSet::from_name(config.rules.set.name()).unwrap_or_default(),
        modes: modes(&config)?,
        statuses: statuses(&config),
        unknown_command: match config.rules.unknown_command {
            config::UnknownCommand::Refuse => UnknownCommand::Refuse,
            config::UnknownCommand::Forward => UnknownCommand::Forward,
        },
        rates: Rates::new(&registry),
        pdu_octets_max: config.limits.pdu_octets,
        window_requests_max: config.limits.window,
        registry,
    };
    Ok(Loaded { config, knowledge, digest: digest.into() })
}

/// Whether every template that the registry names is a file that can be read; the first that is not
/// is a [`Failure`] with file, line and field.
pub(super) fn find_templates(loaded: &Loaded) -> Result<(), Failure> {
    let file = &loaded.config.registry_file;
    let folder = file.parent().unwrap_or(Path::new(""));
    let codes = loaded.knowledge.registry.providers().iter().flat_map(|one| &one.codes);
    for template in codes.flat_map(|code| &code.templates) {
        let path = folder.join(&template.path);
        let found = std::fs::File::open(&path).and_then(|file| file.metadata());
        let why = match found {
            Ok(found) if found.is_file() => continue,
            Ok(_) => "it is not a file".to_owned(),
            Err(error) => error.to_string(),
        };
        let path = path.display();
        let why =
            format!("the template {path} cannot be read: {why}; put it there or leave it out");
        let (text, name) = (std::fs::read_to_string(file)?, file.display().to_string());
        return Err(registry::value_fault(&text, &name, template.at, "templates", &why).into());
    }
    Ok(())
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
