//! By what batches are judged, in the journal's words: so that each record leads to the digest of the rules
//! that it was judged by.
//!
//! Sessions go over to other rules at different moments, each between two of its batches. Where a batch was
//! judged by others than the one before it in the journal, two records stand in front of it: Rules, with
//! their digest, and Registry, with what they are made of. So the nearest Rules or Start record before a
//! record, or the header of its segment, names its rules.

use super::events::RegistryRecord;
use super::record::RulesRecord;
use super::records::Records;

/// Rules and all that they look up, by their digests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ruling {
    /// SHA-256 of configuration, registry, templates, weights and lists.
    pub rules: [u8; 32],
    /// SHA-256 of the configuration alone.
    pub config: [u8; 32],
    /// Name of the rule set.
    pub rule_set: String,
    /// SHA-256 of the registry alone.
    pub registry: [u8; 32],
    /// Providers in it.
    pub providers: u32,
    /// Their codes.
    pub codes: u32,
    /// What texts are read with: digest of the weights, versions of the lists.
    pub reading: String,
}

impl Ruling {
    /// Writes that these rules are in force now, after others.
    pub(super) fn switch(&self, before: [u8; 32], time_us: u64) -> Records {
        let mut records = Records::new();
        records.rules(time_us, &RulesRecord { rules: self.rules, rule_set: &self.rule_set });
        let Ruling { rules, registry, providers, codes, ref reading, .. } = *self;
        records.registry(
            time_us,
            &RegistryRecord { before, rules, registry, providers, codes, reading },
        );
        records
    }
}
