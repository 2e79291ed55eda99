//! The keywords that messages announced for refusing, kept beside the consent ledger: one line each,
//! code, tab, keyword. Who was told 回TDZD退订 before a restart is heard after it too.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::Failure;
use crate::content::reply::Keyword;
use crate::proxy::KeepKeyword;
use crate::registry::Digits;
use crate::session::Announced;

/// The longest file that is read and written. At 30 octets a line it holds above two million
/// keywords.
const FILE_OCTETS_MAX: u64 = 64 << 20;

/// Where the keywords of the ledger in `ledger` are kept.
pub(super) fn file(ledger: &Path) -> PathBuf {
    ledger.with_extension("keywords")
}

/// Fills `announced` from the file, and opens it to keep what is announced from now on.
pub(super) fn open(path: &Path, announced: &Announced) -> Result<KeepKeyword, Failure> {
    let failure = |error: std::io::Error| {
        Failure(format!("{} cannot be used: {error}; make it writable", path.display()))
    };
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
    let file = file.as_mut().map_err(|error| failure(std::io::Error::from(error.kind())))?;
    let mut octets = Vec::new();
    file.take(FILE_OCTETS_MAX).read_to_end(&mut octets).map_err(failure)?;
    // The last line may have been torn, within a character too: the next begins behind it.
    if octets.last().is_some_and(|last| *last != b'\n') {
        file.write_all(b"\n").map_err(failure)?;
    }
    fill(path, &octets, announced);
    let file = Mutex::new(file.try_clone().map_err(failure)?);
    Ok(Box::new(move |code, keyword| keep(&file, code, keyword)))
}

/// Everything that the file holds, the oldest first; nothing where it cannot be read.
pub(super) fn known(path: &Path) -> Vec<(Digits, Keyword)> {
    let mut octets = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(FILE_OCTETS_MAX).read_to_end(&mut octets));
    if let Err(error) = read {
        tracing::warn!(path = %path.display(), %error, "other nodes are not told of its keywords");
    }
    String::from_utf8_lossy(&octets).lines().filter_map(read_line).collect()
}

/// Fills `announced` from the file and leaves that as it is; a file that is not there has none.
pub(super) fn recall(path: &Path, announced: &Announced) -> Result<(), Failure> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        file => file,
    };
    let mut octets = Vec::new();
    file.and_then(|file| file.take(FILE_OCTETS_MAX).read_to_end(&mut octets))
        .map_err(|error| Failure(format!("{} cannot be read: {error}", path.display())))?;
    fill(path, &octets, announced);
    Ok(())
}

fn fill(path: &Path, octets: &[u8], announced: &Announced) {
    for (number, line) in (1..).zip(String::from_utf8_lossy(octets).lines()) {
        let Some((code, keyword)) = read_line(line) else {
            let path = path.display();
            tracing::warn!(%path, line = number, "is no code and keyword; passed over");
            continue;
        };
        announced.learn(code, keyword);
    }
}

fn read_line(line: &str) -> Option<(Digits, Keyword)> {
    let (code, keyword) = line.split_once('\t')?;
    Some((Digits::new(code.as_bytes())?, Keyword::new(keyword)?))
}

/// One short write, seldom: a keyword of a code comes here again only when it was forgotten for
/// others. Beyond [`FILE_OCTETS_MAX`] nothing is written.
fn keep(file: &Mutex<File>, code: Digits, keyword: Keyword) {
    let line = format!("{}\t{}\n", code.unmasked(), keyword.as_str());
    let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if file.metadata().is_ok_and(|file| file.len() >= FILE_OCTETS_MAX) {
        return;
    }
    if let Err(error) = file.write_all(line.as_bytes()) {
        tracing::error!(%error, "an announced keyword will not be known after a restart");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_announced_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder.path().join("consent"));
        let code = Digits::new(b"106900001234").unwrap();
        let known = || {
            let announced = Announced::default();
            let keep = open(&path, &announced).unwrap();
            let mut keywords = Vec::new();
            announced.of(&code, &mut keywords);
            (keep, keywords)
        };
        let (keep, keywords) = known();
        assert!(keywords.is_empty());
        let keyword = Keyword::new("TDZD").unwrap();
        keep(code, keyword);
        let torn = b"106900001234\t\xe9\x80";
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(torn).unwrap();
        let (keep, keywords) = known();
        assert_eq!(keywords, [keyword]);
        let other = Keyword::new("TDCP").unwrap();
        keep(code, other);
        assert_eq!(known().1, [keyword, other]);
    }

    #[test]
    fn a_file_at_its_limit_grows_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder.path().join("consent"));
        let length = || std::fs::metadata(&path).unwrap().len();
        let keep = open(&path, &Announced::default()).unwrap();
        let (code, keyword) = (Digits::new(b"106900001234").unwrap(), Keyword::new("TD").unwrap());
        for (octets, grows) in [(FILE_OCTETS_MAX - 1, true), (FILE_OCTETS_MAX, false)] {
            OpenOptions::new().write(true).open(&path).unwrap().set_len(octets).unwrap();
            keep(code, keyword);
            assert_eq!(length() > octets, grows, "{octets}");
        }
    }
}
