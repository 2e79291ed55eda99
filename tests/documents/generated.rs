//! A document that the program's own words make: compared, or written anew when `BLESS` is set.

use std::path::Path;

/// Fails unless the document at `path`, from the root of the repository, is `text`. With `BLESS` in the
/// environment it is written instead.
pub fn must_be(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    if there == text {
        return;
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, text).expect("the document can be written");
        return;
    }
    let (mut old, mut new, mut line) = (there.lines(), text.lines(), 0);
    let (is, should) = loop {
        line += 1;
        match (old.next(), new.next()) {
            (is, should) if is == should && is.is_some() => continue,
            differing => break differing,
        }
    };
    panic!(
        "{path} is stale at line {line}. Renew it with: BLESS=1 cargo test --test documents\n\
         it is:     {}\nit should: {}\n",
        is.unwrap_or("(end)"),
        should.unwrap_or("(end)")
    );
}
