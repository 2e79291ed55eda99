//! Where a document leads to is there: files, and headings within documents. What it shows of the two
//! files that users write can be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// README.md and all of docs/, by their paths.
fn documents() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::fs::read_dir(root.join("docs")).expect("docs is there");
    let files = folder.map(|entry| entry.expect("it can be listed").path());
    let pages = files.filter(|file| file.extension().is_some_and(|ending| ending == "md"));
    let all = pages.chain([root.join("README.md"), root.join("BENCHMARKS.md")]);
    all.map(|file| (file.clone(), std::fs::read_to_string(&file).expect("it is text"))).collect()
}

/// A heading's name in links, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let letters = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = letters.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn has_heading(text: &str, name: &str) -> bool {
    text.lines().any(|line| line.starts_with('#') && anchor(line) == name)
}

#[test]
fn every_link_leads_somewhere() {
    let (mut faults, mut links) = (Vec::new(), 0);
    for (file, text) in documents() {
        for (number, line) in (1..).zip(text.lines()) {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if link.contains("://") {
                    continue;
                }
                links += 1;
                let (path, heading) = link.split_once('#').unwrap_or((link, ""));
                let folder = file.parent().expect("a file has a folder");
                let target = if path.is_empty() { file.clone() } else { folder.join(path) };
                let there = match heading {
                    "" => target.exists(),
                    name => {
                        std::fs::read_to_string(&target).is_ok_and(|text| has_heading(&text, name))
                    }
                };
                if !there {
                    faults.push(format!("{}:{number}: {link}", file.display()));
                }
            }
        }
    }
    assert!(links > 50, "links were found");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The ```` ```toml ```` blocks of a text, with the line each begins in.
fn toml_blocks(text: &str) -> Vec<(usize, String)> {
    let mut blocks: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    for (number, line) in (1..).zip(text.lines()) {
        match line.trim() {
            "```toml" => {
                inside = true;
                blocks.push((number, String::new()));
            }
            "```" => inside = false,
            content => {
                if let Some((_, block)) = blocks.last_mut().filter(|_| inside) {
                    block.push_str(content);
                    block.push('\n');
                }
            }
        }
    }
    blocks
}

#[test]
fn what_is_shown_of_the_two_files_can_be_read() {
    let rules = consentry::policy::Rule::ALL.map(consentry::policy::Rule::name);
    let listen = "[[listen]]\naddress = \"0.0.0.0:2775\"\nsmsc = [\"192.0.2.10:2775\"]\n";
    let provider = "[[provider]]\nname = \"示例商城有限公司\"\nsystem_ids = [\"shop1\"]\n";
    let (mut faults, mut read) = (Vec::new(), 0);
    for (file, text) in documents() {
        for (number, block) in toml_blocks(&text) {
            let configured =
                [block.clone(), format!("{listen}{block}"), format!("{block}{listen}")];
            let registered = [block.clone(), format!("{provider}{block}")];
            let one = configured.iter().map(|text| {
                let parsed =
                    consentry::config::parse(text, "consentry.toml", Path::new(""), &rules);
                parsed.map(drop).map_err(|fault| fault.to_string())
            });
            let other = registered.iter().map(|text| {
                let parsed = consentry::registry::parse(text, "registry.toml");
                parsed.map(drop).map_err(|fault| fault.to_string())
            });
            let said: Vec<Result<(), String>> = one.chain(other).collect();
            read += 1;
            if !said.iter().any(Result::is_ok) {
                let why: Vec<&String> = said.iter().filter_map(|one| one.as_ref().err()).collect();
                faults.push(format!("{}:{number}: {why:?}", file.display()));
            }
        }
    }
    assert!(read > 5, "blocks were found");
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
