//! What shells complete and `man` shows is made of the commands themselves: every one of them is there, and
//! bash, man and whatever else is here take it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command as Process, Output};

use clap::CommandFactory;

const BINARY: &str = env!("CARGO_BIN_EXE_consentry");

fn output(process: &mut Process) -> (bool, String, String) {
    let Output { status, stdout, stderr } = process.output().expect("it starts");
    let text = |octets| String::from_utf8(octets).expect("text");
    (status.success(), text(stdout), text(stderr))
}

fn completions(shell: &str) -> String {
    let (good, script, said) = output(Process::new(BINARY).args(["completions", shell]));
    assert!(good && said.is_empty(), "{said}");
    script
}

/// Every command with its sub-commands, as `man` names them: `consentry-audit-search`.
fn pages(command: &clap::Command, name: &str, all: &mut BTreeSet<String>) {
    all.insert(format!("{name}.1"));
    for one in command.get_subcommands().filter(|one| one.get_name() != "help") {
        pages(one, &format!("{name}-{}", one.get_name()), all);
    }
}

/// What bash offers after these words, as it would at the press of a key.
fn offered(script: &Path, words: &[&str]) -> BTreeSet<String> {
    let (last, before) = (words.last().expect("a word"), words.get(words.len() - 2).expect("two"));
    let quoted = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let play = format!(
        "source '{}'; COMP_WORDS=({quoted}); COMP_CWORD={}; _consentry consentry '{last}' '{before}'; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        words.len() - 1
    );
    let (good, offered, said) = output(Process::new("bash").args(["-c", &play]));
    assert!(good && said.is_empty(), "{words:?}: {said}");
    offered.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_every_command_and_its_options() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = folder.path().join("consentry");
    std::fs::write(&script, completions("bash")).expect("written");
    let (good, _, said) = output(Process::new("bash").arg("-n").arg(&script));
    assert!(good && said.is_empty(), "{said}");
    let registered = format!("source '{}'; complete -p consentry", script.display());
    let (good, said, _) = output(Process::new("bash").args(["-c", &registered]));
    assert!(good && said.contains("-F _consentry"), "{said}");

    let command = consentry::cmd::Cli::command();
    for one in command.get_subcommands() {
        let name = one.get_name();
        assert!(offered(&script, &["consentry", ""]).contains(name), "{name}");
        let options = offered(&script, &["consentry", name, "--"]);
        for long in one.get_opts().filter_map(|option| option.get_long()) {
            assert!(options.contains(&format!("--{long}")), "{name} --{long}: {options:?}");
        }
    }
    for (words, expected) in [
        (&["consentry", "hand"][..], &["hand-over"][..]),
        (&["consentry", "completions", "z"], &["zsh"]),
        (&["consentry", "audit", "hold", "se"], &["set"]),
        (&["consentry", "audit", "search", "--unm"], &["--unmask"]),
    ] {
        let expected = expected.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(offered(&script, words), expected, "{words:?}");
    }
}

#[test]
fn zsh_and_fish_are_told_of_every_command() {
    let command = consentry::cmd::Cli::command();
    for shell in ["zsh", "fish"] {
        let script = completions(shell);
        for name in command.get_subcommands().map(clap::Command::get_name) {
            assert!(script.contains(name), "{shell}: {name}");
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("script");
        std::fs::write(&file, script).expect("written");
        // Where the shell is not here, nobody has looked whether it takes it.
        match Process::new(shell).arg("-n").arg(&file).output() {
            Ok(output) => assert!(output.status.success(), "{shell}: {output:?}"),
            Err(_) => eprintln!("not shown: there is no {shell} here"),
        }
    }
    let (good, _, said) = output(Process::new(BINARY).args(["completions", "tcsh"]));
    assert!(!good && said.contains("bash, zsh, fish"), "{said}");
}

#[test]
fn every_command_has_a_page_that_man_reads_without_complaint() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pages_in = folder.path().join("man");
    let (good, _, said) = output(Process::new(BINARY).arg("man").arg(&pages_in));
    assert!(good && said.is_empty(), "{said}");
    let there: BTreeSet<String> = std::fs::read_dir(&pages_in)
        .expect("it is there")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    let mut expected = BTreeSet::new();
    pages(&consentry::cmd::Cli::command(), "consentry", &mut expected);
    assert_eq!(there, expected);
    assert!(expected.contains("consentry-audit-hold-set.1"));
    let man_is_here = Process::new("man").arg("--version").output().is_ok();
    for page in &there {
        let text = std::fs::read_to_string(pages_in.join(page)).expect("text");
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{page}");
        if man_is_here {
            let mut man = Process::new("man");
            man.args(["--warnings", "-E", "UTF-8", "-l"]).arg(pages_in.join(page));
            let (good, shown, said) = output(man.env("MANPAGER", "cat").env("LC_ALL", "C.UTF-8"));
            assert!(good && said.is_empty() && shown.contains("OPTIONS"), "{page}: {said}");
        }
    }
    if !man_is_here {
        eprintln!("not shown: there is no man here");
    }
    let (good, _, said) = output(Process::new(BINARY).args(["man", "/dev/null/man"]));
    assert!(!good && said.contains("cannot be written to /dev/null/man"), "{said}");
}
