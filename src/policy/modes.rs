//! Whether a rule refuses, only records, or sleeps.

use super::Rule;

/// What a rule's hit comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The message is refused. The default.
    #[default]
    Enforce,
    /// The message goes on; what would have been refused is recorded.
    Observe,
    /// The rule does not look.
    Off,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Enforce, Self::Observe, Self::Off];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
            Self::Off => "off",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// A rule that is always enforced was set to another mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule `{}` is always enforced, because what it refuses cannot be forwarded; remove its mode", .0.name())]
pub struct ModeFault(pub Rule);

/// The mode of every rule. Everything is enforced by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// By a rule's number less one.
    modes: [Mode; Rule::ALL.len()],
}

impl Default for Modes {
    fn default() -> Self {
        Self { modes: [Mode::Enforce; Rule::ALL.len()] }
    }
}

impl Modes {
    /// One mode for all rules that may have it; the others stay enforced.
    pub fn new(mode: Mode) -> Self {
        Self {
            modes: Rule::ALL.map(|rule| if rule.may_be_observed() { mode } else { Mode::Enforce }),
        }
    }

    /// Sets the mode of one rule.
    ///
    /// # Errors
    ///
    /// When the rule is always enforced and another mode is asked for.
    pub fn set(&mut self, rule: Rule, mode: Mode) -> Result<(), ModeFault> {
        if mode != Mode::Enforce && !rule.may_be_observed() {
            return Err(ModeFault(rule));
        }
        if let Some(slot) = self.modes.get_mut(usize::from(rule.code()) - 1) {
            *slot = mode;
        }
        Ok(())
    }

    /// The mode of a rule.
    pub fn of(&self, rule: Rule) -> Mode {
        self.modes.get(usize::from(rule.code()) - 1).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_forwarded_is_always_refused() {
        let mut modes = Modes::new(Mode::Observe);
        for rule in Rule::ALL {
            let fixed = !rule.may_be_observed();
            assert_eq!(modes.of(rule), if fixed { Mode::Enforce } else { Mode::Observe });
            assert_eq!(modes.set(rule, Mode::Off).is_err(), fixed);
            assert_eq!(modes.of(rule), if fixed { Mode::Enforce } else { Mode::Off });
            assert_eq!(modes.set(rule, Mode::Enforce), Ok(()));
        }
        assert_eq!(modes, Modes::default());
        for mode in Mode::ALL {
            assert_eq!(Mode::from_name(mode.name()), Some(mode));
        }
    }
}
