//! Every trap of docs/traps.md names tests and cases that there are.

use std::path::Path;

/// Each `` `path.rs` name, name; `` of a table's third column: the file and the tests in it.
fn named_tests(cell: &str) -> Vec<(String, Vec<String>)> {
    let read = |entry: &str| {
        let (path, names) = entry.trim().strip_prefix('`')?.split_once('`')?;
        let names = names.split(',').map(|name| name.trim().to_owned()).collect();
        Some((path.to_owned(), names))
    };
    cell.split(';').filter_map(read).collect()
}

/// Each `name` of a table's fourth column.
fn named_cases(cell: &str) -> Vec<&str> {
    cell.split(',')
        .map(|name| name.trim().trim_matches('`'))
        .filter(|name| !name.is_empty())
        .collect()
}

/// Whether a file of tests has one of that name.
pub fn is_test(source: &str, name: &str) -> bool {
    source.match_indices(&format!("fn {name}(")).any(|(at, _)| {
        let mut before = source[..at].lines().rev().take(4);
        before.any(|line| line.contains("test]") || line.contains("test("))
    })
}

/// Whether `tests/interop` plays a case of that name.
fn is_played(root: &Path, name: &str) -> bool {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    if let Some(fixture) = name.strip_prefix("pdus/") {
        // Those that need an SMSC which says what the file says have no place there.
        let text = read(&format!("proto-fixtures/pdus/{fixture}.pdu"));
        return text.lines().any(|line| line == "esme") && !text.lines().any(|line| line == "smsc");
    }
    name == "interop"
        || read("tests/interop/traps.toml").contains(&format!("name = \"{name}\""))
        || ["cases_peers.py", "cases_receipts.py", "cases_rules.py"].iter().any(|file| {
            read(&format!("tests/interop/{file}")).contains(&format!("    \"{name}\": ("))
        })
}

#[test]
fn every_failure_of_the_operating_guide_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/operating.md")).expect("it is there");
    let (mut faults, mut rows) = (Vec::new(), 0);
    for (number, line) in (1..).zip(text.lines()) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [what, _, _, _, _, test] = cells[..] else { continue };
        let named = named_tests(test);
        if named.is_empty() && !what.starts_with("Prometheus") && !["test", "---"].contains(&test) {
            faults.push(format!("docs/operating.md:{number}: no test"));
        }
        for (path, names) in named {
            rows += 1;
            let source = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
            for name in names.iter().filter(|name| !is_test(&source, name)) {
                faults.push(format!("docs/operating.md:{number}: no test {name} in {path}"));
            }
        }
    }
    assert!(rows > 20, "the table was read");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_trap_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/traps.md")).expect("docs/traps.md is there");
    let (mut faults, mut rows) = (Vec::new(), 0);
    for (number, line) in (1..).zip(text.lines()) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [_, _, test, end_to_end, reach] = cells[..] else { continue };
        if test == "test" || test == "---" {
            continue;
        }
        rows += 1;
        if !matches!(reach, "wire" | "piece") {
            faults.push(format!("docs/traps.md:{number}: {reach} is no reach"));
        }
        if reach == "wire" && named_cases(end_to_end).is_empty() {
            faults.push(format!("docs/traps.md:{number}: nothing from end to end"));
        }
        for name in named_cases(end_to_end).into_iter().filter(|name| !is_played(root, name)) {
            faults.push(format!("docs/traps.md:{number}: no case {name} in tests/interop"));
        }
        let named = named_tests(test);
        if named.iter().all(|(_, names)| names.is_empty()) {
            faults.push(format!("docs/traps.md:{number}: no test"));
        }
        for (path, names) in named {
            let source = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
            for name in names {
                let is_there = is_test(&source, &name);
                if !is_there {
                    faults.push(format!("docs/traps.md:{number}: no test {name} in {path}"));
                }
            }
        }
    }
    assert!(rows > 60, "the tables were read");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
