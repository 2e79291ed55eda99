//! Names of entities and scopes, and their numbers: given once, for ever.

use std::collections::HashMap;

use super::store::Store;
use crate::consent::files::FileFault;
use crate::consent::{ENTITIES_MAX, NAME_OCTETS_MAX, NameFault, SCOPES_MAX, Unavailable};

/// The names of one kind.
pub(super) struct Names {
    kind: u8,
    /// The number of the first name.
    first: u16,
    names_max: usize,
    names: Vec<String>,
    numbers: HashMap<String, u16>,
}

impl Names {
    /// The entities, numbered from 0.
    pub fn entities(store: &Store) -> Result<Self, FileFault> {
        Self::read(store, b'e', 0, ENTITIES_MAX)
    }

    /// The scopes, numbered from 1: 0 is the whole entity.
    pub fn scopes(store: &Store) -> Result<Self, FileFault> {
        Self::read(store, b's', 1, SCOPES_MAX)
    }

    fn read(store: &Store, kind: u8, first: u16, names_max: usize) -> Result<Self, FileFault> {
        let mut all = Self { kind, first, names_max, names: Vec::new(), numbers: HashMap::new() };
        for (number, name) in store.names(kind)? {
            if usize::from(number) != usize::from(first) + all.names.len() {
                return Err(FileFault::Damaged("names"));
            }
            all.numbers.insert(name.clone(), number);
            all.names.push(name);
        }
        Ok(all)
    }

    pub fn number(&self, name: &str) -> Option<u16> {
        self.numbers.get(name).copied()
    }

    pub fn name(&self, number: u16) -> Option<&str> {
        self.names.get(usize::from(number.checked_sub(self.first)?)).map(String::as_str)
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The name's number, given now if it has none. On the disk when it returns.
    pub fn give(&mut self, store: &Store, name: &str) -> Result<u16, NameFault> {
        if let Some(number) = self.number(name) {
            return Ok(number);
        }
        if name.trim().is_empty() || name.len() > NAME_OCTETS_MAX {
            return Err(NameFault::Malformed);
        }
        if self.names.len() >= self.names_max {
            return Err(NameFault::Max(self.names_max));
        }
        let number = self.first + self.names.len() as u16;
        store.add_name(self.kind, number, name).map_err(|fault| Unavailable::failed(&fault))?;
        self.numbers.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers_up_to_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut names = Names::read(&store, b'x', 1, 2).unwrap();
        for (name, expected) in [
            ("甲", Ok(1)),
            ("乙", Ok(2)),
            ("甲", Ok(1)),
            ("丙", Err(NameFault::Max(2))),
            (" ", Err(NameFault::Malformed)),
            (&"x".repeat(NAME_OCTETS_MAX + 1), Err(NameFault::Malformed)),
        ] {
            assert_eq!(names.give(&store, name), expected, "{name}");
        }
        let again = Names::read(&store, b'x', 1, 2).unwrap();
        assert_eq!((again.name(0), again.name(1), again.name(2)), (None, Some("甲"), Some("乙")));
        assert_eq!((again.name(3), again.number("乙"), again.len()), (None, Some(2), 2));
        let longest = "x".repeat(NAME_OCTETS_MAX);
        assert_eq!(Names::read(&store, b'y', 0, 9).unwrap().give(&store, &longest), Ok(0));
    }
}
