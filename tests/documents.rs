//! The documents name only what there is.

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

#[test]
fn every_trap_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/traps.md")).expect("docs/traps.md is there");
    let (mut faults, mut rows) = (Vec::new(), 0);
    for (number, line) in (1..).zip(text.lines()) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [_, _, test, reach] = cells[..] else { continue };
        if test == "test" || test == "---" {
            continue;
        }
        rows += 1;
        if !matches!(reach, "wire" | "piece") {
            faults.push(format!("docs/traps.md:{number}: {reach} is no reach"));
        }
        let named = named_tests(test);
        if named.iter().all(|(_, names)| names.is_empty()) {
            faults.push(format!("docs/traps.md:{number}: no test"));
        }
        for (path, names) in named {
            let source = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
            for name in names {
                let is_there = source
                    .match_indices(&format!("fn {name}("))
                    .any(|(at, _)| source[..at].lines().rev().take(4).any(|l| l.contains("test]")));
                if !is_there {
                    faults.push(format!("docs/traps.md:{number}: no test {name} in {path}"));
                }
            }
        }
    }
    assert!(rows > 50, "the tables were read");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
