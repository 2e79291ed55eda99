//! The captures of `proto-fixtures/traces` that stand beside a `.told` file: what is read in each.
//! `UPDATE=1 cargo test --test traces fixtures` writes those files anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use consentry::replay::{Happening, Trace, Traces};
use consentry::session::Side;
use consentry::smpp::Header;
use consentry::smpp::frame::PDU_OCTETS_MAX;

/// All that is told of a capture, a line each; times in seconds behind the first.
fn told(path: &Path) -> String {
    let input = std::fs::File::open(path).map(|file| Box::new(file) as _);
    let trace = Trace { name: path.display().to_string(), input };
    let mut traces = Traces::new(std::iter::once(trace), PDU_OCTETS_MAX);
    let mut lines = String::new();
    let mut first_us = None;
    while let Some(happening) = traces.next().expect("a whole capture") {
        line(&mut lines, &mut first_us, happening).expect("memory");
    }
    // The counts that are not zero.
    let skipped = format!("{:#?}", traces.skipped());
    let counts = skipped.lines().filter(|line| line.starts_with(' ') && !line.ends_with(": 0,"));
    for count in counts {
        writeln!(lines, "{}", count.trim().trim_end_matches(',')).expect("memory");
    }
    lines
}

fn line(
    lines: &mut String,
    first_us: &mut Option<u64>,
    happening: Happening<'_>,
) -> std::fmt::Result {
    let mut seconds = |time_us: u64| {
        let first_us = *first_us.get_or_insert(time_us);
        (time_us as i64 - first_us as i64) as f64 / 1e6
    };
    let who = |side| if side == Side::Esme { "esme" } else { "smsc" };
    match happening {
        Happening::Opened(opened) => {
            let start = if opened.from_start { "from its start" } else { "from its middle" };
            let time = seconds(opened.time_us);
            let (stream, esme, smsc) = (opened.stream, opened.esme, opened.smsc);
            writeln!(lines, "{time:.6} {stream} opened {start}: ESME {esme}, SMSC {smsc}")
        }
        Happening::Pdus { stream, side, time_us, mut octets } => {
            let (time, side) = (seconds(time_us), who(side));
            while let Some(header) = Header::of(octets) {
                let (length, command) = (header.command_length, header.command);
                let number = header.sequence_number;
                writeln!(lines, "{time:.6} {stream} {side} {command} {number}, {length} octets")?;
                octets = octets.get(length as usize..).unwrap_or(&[]);
            }
            Ok(())
        }
        Happening::Cut { stream, side, time_us, header } => {
            let (time, side) = (seconds(time_us), who(side));
            let (command, number) = (header.command, header.sequence_number);
            writeln!(lines, "{time:.6} {stream} {side} {command} {number}, cut")
        }
        Happening::Gap { stream, side, time_us, cause, octets } => {
            let (time, side) = (seconds(time_us), who(side));
            writeln!(lines, "{time:.6} {stream} {side} gap: {cause:?}, {octets} octets")
        }
        Happening::Closed { stream, time_us, ending } => {
            writeln!(lines, "{:.6} {stream} closed: {ending:?}", seconds(time_us))
        }
    }
}

fn with_told() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto-fixtures/traces");
    let entries = std::fs::read_dir(folder).expect("the fixtures are there");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a name").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "told"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn each_capture_tells_what_stands_beside_it() {
    let update = std::env::var_os("UPDATE").is_some();
    let expected = with_told();
    assert!(expected.len() >= 4, "only {} captures", expected.len());
    for path in expected {
        let told = told(&path.with_extension(""));
        if update {
            std::fs::write(&path, &told).expect("a file that can be written");
        }
        let expected = std::fs::read_to_string(&path).expect("a readable file");
        assert_eq!(told, expected, "{}", path.display());
    }
}
