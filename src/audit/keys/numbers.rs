//! The keys that this node reads its own numbers with: `numbers-<month>.key`, one a month.
//!
//! A key's name is the month that it was made in, UTC, and from the second one on a count:
//! `2026-11`, `2026-11-2`. The newest is the one in use; the others open what was written under them.

use std::path::{Path, PathBuf};

use super::{KeyFault, create, hex_key, make_folder, read_secret};

/// Octets of a key.
const KEY_OCTETS: usize = 32;
/// Keys of one month at most.
const OF_A_MONTH_MAX: u32 = 999;
const PREFIX: &str = "numbers-";
const SUFFIX: &str = ".key";

/// A key that wraps the data keys of numbers.
#[derive(Clone)]
pub struct NumbersKey {
    /// Its name: `2026-11`.
    pub name: String,
    pub(in crate::audit) secret: [u8; KEY_OCTETS],
}

impl std::fmt::Debug for NumbersKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NumbersKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A name in the order of its making.
type Order = (i16, i8, u32);

impl NumbersKey {
    /// The file of the key with this name.
    pub fn file(folder: &Path, name: &str) -> PathBuf {
        folder.join(format!("{PREFIX}{name}{SUFFIX}"))
    }

    /// The names of the keys in a folder, the oldest first; none where there is no folder.
    pub fn list(folder: &Path) -> Result<Vec<String>, KeyFault> {
        let fault = |error| KeyFault::new(folder, format_args!("cannot be listed: {error}"));
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fault(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(fault)?.file_name();
            let name =
                name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
            if let Some((name, order)) = name.and_then(|name| Some((name, order(name)?))) {
                found.push((order, name.to_owned()));
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(_, name)| name).collect())
    }

    /// The key with this name; none if its file is not there, or was overwritten with zeros to destroy it.
    pub fn open(folder: &Path, name: &str) -> Result<Option<NumbersKey>, KeyFault> {
        if order(name).is_none() {
            return Ok(None);
        }
        let file = NumbersKey::file(folder, name);
        let Some(octets) = read_secret(&file)? else { return Ok(None) };
        if !octets.is_empty() && octets.iter().all(|octet| *octet == 0) {
            return Ok(None);
        }
        let secret = hex_key::read(&octets).ok_or_else(|| {
            KeyFault::new(&file, "is no numbers key, which is 64 hexadecimal digits; put it back")
        })?;
        Ok(Some(NumbersKey { name: name.to_owned(), secret }))
    }

    /// The name of the key that is in use at this time; none where one is yet to be made for it.
    pub fn due(folder: &Path, now_us: u64) -> Result<Option<String>, KeyFault> {
        let newest = NumbersKey::list(folder)?.pop();
        let is_due = |name: &String| {
            order(name).is_some_and(|(year, month_of, _)| {
                // A clock that was set back does not bring an old key into use again.
                (year, month_of) >= month(now_us)
            })
        };
        Ok(newest.filter(is_due))
    }

    /// The key to write with at this time: the newest, or one that is made where there is none yet or
    /// the newest is of an earlier month.
    pub fn current(folder: &Path, now_us: u64) -> Result<NumbersKey, KeyFault> {
        match NumbersKey::due(folder, now_us)? {
            Some(name) => {
                let key = NumbersKey::open(folder, &name)?;
                key.ok_or_else(|| KeyFault::new(folder, format_args!("lost the key {name}")))
            }
            None => NumbersKey::make(folder, now_us),
        }
    }

    /// Makes the next key, which is in use from then on.
    pub fn make(folder: &Path, now_us: u64) -> Result<NumbersKey, KeyFault> {
        make_folder(folder)?;
        let newest = NumbersKey::list(folder)?.pop().and_then(|name| order(&name));
        let now = month(now_us);
        let ((year, month), count) = match newest {
            Some((year, month, count)) if (year, month) >= now => ((year, month), count + 1),
            _ => (now, 1),
        };
        if count > OF_A_MONTH_MAX {
            return Err(KeyFault::new(folder, "holds 999 keys of one month: that must be enough"));
        }
        let name = match count {
            1 => format!("{year:04}-{month:02}"),
            _ => format!("{year:04}-{month:02}-{count}"),
        };
        let mut secret = [0; KEY_OCTETS];
        aws_lc_rs::rand::fill(&mut secret)
            .map_err(|_| KeyFault::new(folder, "the machine gives no random octets for a key"))?;
        let file = NumbersKey::file(folder, &name);
        create(&file, hex_key::text(&secret).as_bytes(), 0o600)?;
        Ok(NumbersKey { name, secret })
    }
}

/// Year and month of a time, UTC.
fn month(now_us: u64) -> (i16, i8) {
    let time = i64::try_from(now_us)
        .ok()
        .and_then(|now_us| jiff::Timestamp::from_microsecond(now_us).ok())
        .unwrap_or_default();
    let date = jiff::tz::Offset::UTC.to_datetime(time).date();
    (date.year(), date.month())
}

/// Where a name stands among others; none if it is no name of a key.
fn order(name: &str) -> Option<Order> {
    let mut parts = name.split('-');
    let (year, month) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let count = parts.next().map_or(Some(1), |count| count.parse().ok())?;
    let written = match count {
        1 => format!("{year:04}-{month:02}"),
        _ => format!("{year:04}-{month:02}-{count}"),
    };
    (written == name && (1..=12).contains(&month)).then_some((year, month, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-26T00:00:00Z.
    const NOVEMBER_US: u64 = 1_795_651_200_000_000;
    const DAY_US: u64 = 86_400_000_000;

    #[test]
    fn the_key_in_use_changes_with_the_month_and_by_hand() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("keys");
        let current = |us| NumbersKey::current(&folder, us).expect("a key");
        let first = current(NOVEMBER_US);
        assert_eq!(first.name, "2026-11");
        assert_eq!(current(NOVEMBER_US + 4 * DAY_US).secret, first.secret);
        assert_eq!(current(NOVEMBER_US + 5 * DAY_US).name, "2026-12");
        assert_eq!(current(NOVEMBER_US).name, "2026-12", "a clock that was set back");
        for expected in ["2026-12-2", "2026-12-3"] {
            let made = NumbersKey::make(&folder, NOVEMBER_US).expect("a key");
            assert_eq!(made.name, expected);
            assert_eq!(current(NOVEMBER_US).secret, made.secret);
        }
        let names = ["2026-11", "2026-12", "2026-12-2", "2026-12-3"];
        assert_eq!(NumbersKey::list(&folder).expect("a list"), names);
        let again = NumbersKey::open(&folder, "2026-11").expect("a key").expect("it is there");
        assert_eq!(again.secret, first.secret);
    }

    #[test]
    fn what_is_no_key_is_one_clear_error() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let file = NumbersKey::file(folder.path(), "2026-11");
        let check = |content: &[u8], mode: u32, says: &str| {
            let _ = std::fs::remove_file(&file);
            std::fs::write(&file, content).expect("written");
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).expect("a mode");
            let fault =
                NumbersKey::current(folder.path(), NOVEMBER_US).expect_err(says).to_string();
            assert!(fault.contains("numbers-2026-11.key") && fault.contains(says), "{fault}");
        };
        let good = "ab".repeat(32);
        check(good.as_bytes(), 0o640, "chmod 600");
        check(good.as_bytes(), 0o604, "chmod 600");
        check(&good.as_bytes()[1..], 0o600, "64 hexadecimal digits");
        check(b"", 0o600, "64 hexadecimal digits");
        check("é".repeat(32).as_bytes(), 0o600, "64 hexadecimal digits");
        check(&[b'a'; 1 << 20], 0o600, "longer than any key");
    }

    #[test]
    fn other_files_are_no_keys() {
        for name in ["2026-13", "2026-00", "2026-1", "26-11", "2026-11-1", "2026-11-02", "x", ""] {
            assert_eq!(order(name), None, "{name}");
        }
        assert_eq!(order("2026-11-12"), Some((2026, 11, 12)));
    }
}
