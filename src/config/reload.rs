//! `[reload]`: when changed files are put in force by themselves.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::fault::Source;
use super::validate::time;
use super::written::Time;
use super::{Fault, bounds};

/// `[reload]` as it is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reload {
    /// How often files are looked at; `None` = they are not.
    pub watch: Option<Duration>,
}

/// When changed files are put in force by themselves; else at SIGHUP and when the API is asked.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Reload")]
pub(super) struct Written {
    /// How often the files are looked at. What was changed is put in force when it has stayed the same
    /// from one look to the next. Without it, they are not looked at.
    #[schemars(with = "Option<Time>")]
    watch: Option<Spanned<Time>>,
}

pub(super) fn reload(source: &Source<'_>, written: Written) -> Result<Reload, Fault> {
    let watch = written.watch.map(|watch| time(source, Some(watch), bounds::RELOAD_WATCH));
    Ok(Reload { watch: watch.transpose()? })
}
