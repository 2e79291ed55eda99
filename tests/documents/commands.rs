//! docs/commands.md: every command and option, in the words of `--help`.

use std::fmt::Write as _;

use clap::CommandFactory;

use super::generated;

/// Letters of a line.
const WIDTH: usize = 110;

const HEAD: &str = "# Commands\n\n\
Written by `BLESS=1 cargo test --test documents` from what `--help` says; do not edit it.\n\n\
The exit status of every command: 0 yes, 1 no (refused, differs, broken), 2 it could not tell (bad arguments, bad \
configuration, a file that is missing). Listings have `--json`, one object a line. Numbers of people are masked unless \
`--unmask` says otherwise.\n";

fn tell(out: &mut String, command: &mut clap::Command, name: &str, depth: usize) {
    let help = command.clone().bin_name(name).term_width(WIDTH).render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ =
        write!(out, "\n{} {name}\n\n```text\n{}\n```\n", "#".repeat(depth), help.join("\n").trim());
    let subcommands: Vec<String> = command
        .get_subcommands()
        .map(|one| one.get_name().to_owned())
        .filter(|one| one != "help")
        .collect();
    for one in subcommands {
        let own = format!("{name} {one}");
        if let Some(subcommand) = command.find_subcommand_mut(&one) {
            tell(out, subcommand, &own, (depth + 1).min(3));
        }
    }
}

#[test]
fn the_commands_are_told_as_help_tells_them() {
    let mut command = consentry::cmd::Cli::command();
    command.build();
    let mut text = HEAD.to_owned();
    tell(&mut text, &mut command, "consentry", 2);
    generated::must_be("docs/commands.md", &text);
}
