//! Entities and scopes by number, as the engine gave them: in memory, and on this node's disk for a
//! start without the engine.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use super::disk::Disk;
use super::truth::Truth;
use super::{EngineFault, NameKind};
use crate::consent::files::FileFault;

/// Why the engine's names cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum NamesFault {
    #[error(transparent)]
    Engine(#[from] EngineFault),
    #[error("the outbox: {0}")]
    Disk(#[from] FileFault),
    /// By the same number it means somebody else. Nothing may be answered, and nothing told.
    #[error(
        "the consent engine gives numbers to other legal entities or scopes than it gave before: it is \
         another ledger, or lost its last transactions; restore it, or give this node another outbox"
    )]
    Others,
}

#[derive(Default)]
struct List {
    names: Vec<String>,
    numbers: HashMap<String, u16>,
}

impl List {
    fn add(&mut self, name: String, number: u16) {
        self.numbers.insert(name.clone(), number);
        self.names.push(name);
    }
}

/// The names of one kind.
pub(super) struct Kind {
    kind: NameKind,
    /// How it is written on the disk.
    code: u8,
    /// The number of the first name.
    first: u16,
    list: RwLock<List>,
}

impl Kind {
    fn open(kind: NameKind, disk: &Disk) -> Result<Kind, FileFault> {
        let (code, first) = match kind {
            NameKind::Entity => (b'e', 0),
            NameKind::Scope => (b's', 1),
        };
        let mut list = List::default();
        for (number, name) in disk.names(code)? {
            if usize::from(number) != usize::from(first) + list.names.len() {
                return Err(FileFault::Damaged("names"));
            }
            list.add(name, number);
        }
        Ok(Kind { kind, code, first, list: RwLock::new(list) })
    }

    pub fn number(&self, name: &str) -> Option<u16> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).numbers.get(name).copied()
    }

    pub fn name(&self, number: u16) -> Option<String> {
        let list = self.list.read().unwrap_or_else(PoisonError::into_inner);
        list.names.get(usize::from(number.checked_sub(self.first)?)).cloned()
    }

    pub fn len(&self) -> usize {
        self.list.read().unwrap_or_else(PoisonError::into_inner).names.len()
    }

    /// Takes all names that the engine has. Those that are known must be the same; those that are known
    /// and that it lacks are given again.
    async fn follow<T: Truth>(
        &self,
        truth: &T,
        disk: &Disk,
        engine: Vec<String>,
    ) -> Result<(), NamesFault> {
        let known = self.list.read().unwrap_or_else(PoisonError::into_inner).names.clone();
        if known.iter().zip(&engine).any(|(known, one)| known != one) {
            return Err(NamesFault::Others);
        }
        for (at, name) in known.iter().enumerate().skip(engine.len()) {
            if truth.give(self.kind, name).await? != Some(self.number_at(at)) {
                return Err(NamesFault::Others);
            }
        }
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        // Another task may have been here.
        let new: Vec<(u16, &str)> = (list.names.len()..)
            .zip(engine.iter().skip(list.names.len()))
            .map(|(at, name)| (self.number_at(at), name.as_str()))
            .collect();
        if !new.is_empty() {
            disk.add_names(self.code, &new)?;
            new.into_iter().for_each(|(number, name)| list.add(name.to_owned(), number));
        }
        Ok(())
    }

    fn number_at(&self, at: usize) -> u16 {
        // Both kinds have fewer than 2^14 names.
        self.first.saturating_add(u16::try_from(at).unwrap_or(u16::MAX))
    }
}

pub(super) struct Names {
    pub entities: Kind,
    pub scopes: Kind,
    /// Whether the engine was found to mean the same by the same numbers, and nothing spoke against it since.
    agree: AtomicBool,
}

impl Names {
    /// The names as they were known last.
    pub fn open(disk: &Disk) -> Result<Names, FileFault> {
        Ok(Names {
            entities: Kind::open(NameKind::Entity, disk)?,
            scopes: Kind::open(NameKind::Scope, disk)?,
            agree: AtomicBool::new(false),
        })
    }

    /// Whether the engine means by the numbers whom this node means. What is told while it does not would be
    /// told of others.
    pub fn agree(&self) -> bool {
        self.agree.load(Ordering::Acquire)
    }

    /// The engine may be another, or another state of itself: nothing is told until it was looked at.
    pub fn doubt(&self) {
        self.agree.store(false, Ordering::Release);
    }

    /// Learns what the engine has, where that is not as many as are known, or when it may have gone back.
    /// Whether it agrees from now on, and did not before.
    pub async fn follow<T: Truth>(
        &self,
        truth: &T,
        disk: &Disk,
        count: u64,
        is_doubted: bool,
    ) -> Result<bool, NamesFault> {
        let known = self.entities.len() + self.scopes.len();
        if known as u64 == count && !is_doubted && self.agree() {
            return Ok(false);
        }
        let (entities, scopes) = truth.names().await?;
        let followed = match self.entities.follow(truth, disk, entities).await {
            Ok(()) => self.scopes.follow(truth, disk, scopes).await,
            Err(fault) => Err(fault),
        };
        if matches!(followed, Err(NamesFault::Others)) {
            self.doubt();
        }
        followed.map(|()| !self.agree.swap(true, Ordering::AcqRel))
    }
}
