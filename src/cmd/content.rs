//! `consentry content`: judge texts, measure on labelled ones, fit weights to them.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Failure};
use crate::content::{self, Class, Kind, Labelled, Reader, Reading, Scratch, Settings};

/// Labelled texts that one fit takes at most.
const ROWS_MAX: usize = 2_000_000;

/// The share of a labelled line at most.
const SHARE_MAX: f32 = 100.0;

/// Octets of one line of input at most.
const LINE_OCTETS_MAX: usize = 1024 * 1024;

/// The classifier: judge texts, measure it, fit it to your own.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Judges texts and says why. Exit status 0 none is commercial, 1 one is.
    Test(Test),
    /// Measures on labelled NDJSON: `text`, `target`, and if you like `kind` and `source`.
    Eval(Eval),
    /// Fits weights to labelled NDJSON and writes them to standard output or a file.
    Fit(Fit),
}

#[derive(clap::Args)]
struct Test {
    /// A weights file instead of the built-in one.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// One object a text: class, kind, score, features with name, span and weight.
    #[arg(long)]
    json: bool,
    /// The texts; `-` reads one a line from standard input.
    #[arg(required = true)]
    text: Vec<String>,
}

#[derive(clap::Args)]
struct Eval {
    /// A weights file instead of the built-in one.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// One object a corpus.
    #[arg(long)]
    json: bool,
    /// Shows what was judged wrong: file, line, class and text.
    #[arg(long)]
    wrong: bool,
    /// Measures how long reading takes instead of what is read.
    #[arg(long)]
    speed: bool,
    /// Labelled files.
    #[arg(required = true)]
    file: Vec<PathBuf>,
}

#[derive(clap::Args)]
struct Fit {
    /// Where the weights go; standard output otherwise.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Words at most.
    #[arg(long, default_value_t = Settings::default().words_max)]
    words: usize,
    /// Texts that a word occurs in at least.
    #[arg(long, default_value_t = Settings::default().texts_min)]
    texts: u32,
    /// Sources that a word occurs in at least, as far as there are so many.
    #[arg(long, default_value_t = Settings::default().sources_min)]
    sources: u32,
    /// Passes over all texts.
    #[arg(long, default_value_t = Settings::default().passes)]
    passes: u32,
    /// Pull towards zero after each pass, absolute.
    #[arg(long, default_value_t = Settings::default().l1)]
    l1: f32,
    /// Pull towards zero after each pass, as a part of the weight.
    #[arg(long, default_value_t = Settings::default().l2)]
    l2: f32,
    /// How many times as hard marks, lists and pairs are pulled as words.
    #[arg(long, default_value_t = Settings::default().common_pull)]
    common_pull: f32,
    /// Part of the features that is left out each time.
    #[arg(long, default_value_t = Settings::default().dropout)]
    dropout: f32,
    /// What a mistake about service and public texts costs, against 1 for one about advertisements.
    #[arg(long, default_value_t = Settings::default().alarm_cost)]
    alarm_cost: f32,
    /// By how much commercial must lead.
    #[arg(long, default_value_t = Settings::default().margin, allow_negative_numbers = true)]
    margin: f32,
    /// Labelled files.
    #[arg(required = true)]
    file: Vec<PathBuf>,
}

/// Runs what was asked.
pub fn run(args: Args) -> Result<Answer, Failure> {
    match args.what {
        What::Test(test) => judge(&test),
        What::Eval(eval) => measure(&eval),
        What::Fit(fit) => fit_weights(&fit),
    }
}

fn reader(weights: Option<&Path>) -> Result<Reader, Failure> {
    let Some(path) = weights else { return Ok(Reader::built_in()?) };
    let text = std::fs::read_to_string(path).map_err(|why| unreadable(path, &why))?;
    Reader::parse(&text).map_err(|fault| Failure(format!("{}: {fault}", path.display())))
}

fn unreadable(path: &Path, why: &io::Error) -> Failure {
    Failure(format!("{}: cannot be read: {why}", path.display()))
}

// ---- test

fn judge(test: &Test) -> Result<Answer, Failure> {
    let reader = reader(test.weights.as_deref())?;
    let mut scratch = Scratch::default();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut is_clear = true;
    for text in &test.text {
        if text == "-" {
            each_line(io::stdin().lock(), Path::new("-"), |_, line| {
                is_clear &= !show(&mut out, &reader, line, test.json, &mut scratch)?;
                Ok(())
            })?;
        } else {
            is_clear &= !show(&mut out, &reader, text, test.json, &mut scratch)?;
        }
    }
    out.flush()?;
    Ok(if is_clear { Answer::Yes } else { Answer::No })
}

/// Shows one judgement; whether it is commercial.
fn show(
    out: &mut impl Write,
    reader: &Reader,
    text: &str,
    json: bool,
    scratch: &mut Scratch,
) -> Result<bool, Failure> {
    let reading = reader.read(text, scratch);
    if json {
        writeln!(out, "{}", object(reader, &reading))?;
        return Ok(reading.is_commercial());
    }
    writeln!(out, "{}  {:.3}  weights {}", reading.class, reading.score, reader.digest())?;
    for fired in reading.fired() {
        let name = reader.feature(fired.feature);
        let quoted: String = fired.span.of(text).chars().take(24).collect();
        writeln!(out, "  {:+.2}  {name:<28} {}", fired.weight, quoted.escape_debug())?;
    }
    Ok(reading.is_commercial())
}

/// What surface.md promises, with the kind and the weights beside it. Spans count octets of UTF-8.
fn object(reader: &Reader, reading: &Reading) -> Value {
    let features = reading.fired().iter().map(|fired| {
        let name = reader.feature(fired.feature);
        let weight = thousandths(fired.weight);
        json!({"name": name, "span": [fired.span.start, fired.span.end], "weight": weight})
    });
    let kind = match reading.class {
        Class::Service(Kind::Code) => Some("code"),
        Class::Service(Kind::Notification) => Some("notification"),
        _ => None,
    };
    json!({
        "class": reading.class.family(),
        "kind": kind,
        "score": thousandths(reading.score),
        "lead": thousandths(reading.lead),
        "features": features.collect::<Vec<_>>(),
        "weights": reader.digest(),
    })
}

/// As JSON shows it, without digits that mean nothing.
fn thousandths(number: f32) -> f64 {
    (f64::from(number) * 1000.0).round() / 1000.0
}

/// Calls for every line that is not empty, with its number from 1.
fn each_line(
    mut input: impl BufRead,
    path: &Path,
    mut each: impl FnMut(usize, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        let mut limited = io::Read::take(&mut input, LINE_OCTETS_MAX as u64 + 1);
        let octets = limited.read_line(&mut line).map_err(|why| unreadable(path, &why))?;
        if octets == 0 {
            break;
        }
        if octets > LINE_OCTETS_MAX {
            let why = format!("the line has more than {LINE_OCTETS_MAX} octets; split it");
            return Err(Failure(format!("{}:{number}: {why}", path.display())));
        }
        let text = line.trim_end_matches(['\r', '\n']);
        if !text.is_empty() {
            each(number, text)?;
        }
    }
    Ok(())
}

// ---- labelled lines

/// One line of a labelled file.
#[derive(Deserialize)]
struct Line {
    text: String,
    target: String,
    #[serde(default)]
    kind: String,
    /// Where the text comes from; the file's name otherwise.
    #[serde(default)]
    source: String,
    /// What it weighs in a fit against others.
    #[serde(default = "whole")]
    share: f32,
}

/// The share of a line that gives none.
fn whole() -> f32 {
    1.0
}

/// What a label allows. `other` is anything that is not commercial, fraud or illicit.
fn classes(target: &str, kind: &str) -> Option<Vec<Class>> {
    let (code, notification) = (Class::Service(Kind::Code), Class::Service(Kind::Notification));
    Some(match (target, kind) {
        ("commercial", _) => vec![Class::Commercial],
        ("service", "code") | ("service.code", _) => vec![code],
        ("service", "") => vec![code, notification],
        ("service", "government") => vec![notification, Class::Public],
        ("service", _) | ("service.notification", _) => vec![notification],
        ("public", _) => vec![Class::Public],
        ("personal", _) => vec![Class::Personal],
        ("fraud", _) | ("other:fraud", _) => vec![Class::Fraud],
        ("illicit", _) | ("other:illicit", _) => vec![Class::Illicit],
        ("other", _) => vec![code, notification, Class::Public, Class::Personal],
        _ => return None,
    })
}

/// Calls for every labelled line of the files: path, line number, line, classes.
fn each_labelled(
    files: &[PathBuf],
    mut each: impl FnMut(&Path, usize, Line, Vec<Class>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for path in files {
        let file = std::fs::File::open(path).map_err(|why| unreadable(path, &why))?;
        each_line(io::BufReader::new(file), path, |number, line| {
            let at = |why: String| Failure(format!("{}:{number}: {why}", path.display()));
            let line: Line = serde_json::from_str(line).map_err(|why| at(why.to_string()))?;
            let allowed = classes(&line.target, &line.kind).ok_or_else(|| {
                let known = "commercial, service, public, personal, fraud, illicit or other";
                at(format!("no target `{}`; write {known}", line.target))
            })?;
            each(path, number, line, allowed)
        })?;
    }
    Ok(())
}

/// The name of a corpus: the source that a line gives, or its file's name without the ending.
fn corpus(path: &Path, line: &Line) -> String {
    if line.source.is_empty() {
        return path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    }
    line.source.clone()
}

// ---- fit

fn fit_weights(args: &Fit) -> Result<Answer, Failure> {
    if !(0.0..=0.9).contains(&args.dropout) {
        return Err(Failure("--dropout: write a part from 0 to 0.9".to_owned()));
    }
    let words_max = content::FEATURES_MAX - 1000;
    if args.words > words_max {
        return Err(Failure(format!("--words: write at most {words_max}")));
    }
    let mut sources: Vec<String> = Vec::new();
    let mut rows: Vec<Labelled> = Vec::new();
    each_labelled(&args.file, |path, number, line, classes| {
        if rows.len() == ROWS_MAX {
            let why = format!("more than {ROWS_MAX} texts; fit on fewer");
            return Err(Failure(format!("{}:{number}: {why}", path.display())));
        }
        if !(0.0..=SHARE_MAX).contains(&line.share) {
            let why = format!("share {}: write a number from 0 to {SHARE_MAX}", line.share);
            return Err(Failure(format!("{}:{number}: {why}", path.display())));
        }
        let name = corpus(path, &line);
        let source = sources.iter().position(|one| *one == name).unwrap_or_else(|| {
            sources.push(name);
            sources.len() - 1
        });
        rows.push(Labelled { text: line.text, classes, source, share: line.share });
        Ok(())
    })?;
    let settings = Settings {
        words_max: args.words,
        texts_min: args.texts,
        sources_min: args.sources,
        passes: args.passes,
        l1: args.l1,
        l2: args.l2,
        common_pull: args.common_pull,
        dropout: args.dropout,
        alarm_cost: args.alarm_cost,
        margin: args.margin,
    };
    let weights = content::fit(&rows, &settings);
    let notes = [
        format!("fitted to {} texts of: {}", rows.len(), sources.join(", ")),
        format!("{settings:?}"),
    ];
    let written = weights.write(&notes);
    let Some(out) = &args.out else {
        io::stdout().lock().write_all(written.as_bytes())?;
        return Ok(Answer::Yes);
    };
    std::fs::write(out, &written).map_err(|why| Failure(format!("{}: {why}", out.display())))?;
    println!("{} features to {}", weights.features.len(), out.display());
    Ok(Answer::Yes)
}

// ---- eval

/// What became of the texts of one corpus and target.
#[derive(Default)]
struct Counts {
    texts: u64,
    /// By class, in the order of [`Class::ALL`].
    judged: [u64; Class::COUNT],
    /// Judged as one of the classes that the label allows.
    right: u64,
}

/// What a target has to reach: the part that is called commercial, at least or at most.
fn gate(target: &str) -> Option<(f64, bool)> {
    match target {
        "commercial" => Some((0.97, true)),
        "service" | "service.code" | "service.notification" | "public" => Some((0.01, false)),
        "personal" => Some((0.005, false)),
        _ => None,
    }
}

/// Texts that one round of the speed measurement reads.
const ROUND_TEXTS: usize = 200_000;

/// Rounds of the speed measurement; the fastest is what the machine can do.
const ROUNDS: usize = 10;

/// Reads all texts again and again and says how long one takes.
fn speed(eval: &Eval, reader: &Reader) -> Result<Answer, Failure> {
    let mut texts: Vec<String> = Vec::new();
    each_labelled(&eval.file, |_, _, line, _| {
        texts.push(line.text);
        Ok(())
    })?;
    if texts.is_empty() {
        return Err(Failure("no texts; give a file with some".to_owned()));
    }
    let mut scratch = Scratch::default();
    let mut rounds: Vec<f64> = Vec::new();
    let mut commercial = 0_usize;
    for _ in 0..ROUNDS {
        let began = std::time::Instant::now();
        for text in texts.iter().cycle().take(ROUND_TEXTS) {
            commercial += usize::from(reader.class(text, &mut scratch) == Class::Commercial);
        }
        rounds.push(began.elapsed().as_nanos() as f64 / ROUND_TEXTS as f64);
    }
    rounds.sort_by(f64::total_cmp);
    let at = |place: usize| rounds.get(place).copied().unwrap_or_default();
    let characters: usize = texts.iter().map(|text| text.chars().count()).sum();
    let mean = characters as f64 / texts.len() as f64;
    let (fastest, median) = (at(0), at(ROUNDS / 2));
    let of_70 = fastest / mean * 70.0;
    println!(
        "{} texts of {mean:.0} characters on average, {commercial} readings commercial",
        texts.len()
    );
    println!(
        "ns a text: fastest round {fastest:.0}, median {median:.0}; for 70 characters {of_70:.0}"
    );
    Ok(Answer::Yes)
}

fn measure(eval: &Eval) -> Result<Answer, Failure> {
    let reader = reader(eval.weights.as_deref())?;
    if eval.speed {
        return speed(eval, &reader);
    }
    let mut scratch = Scratch::default();
    let mut counts: BTreeMap<(String, String), Counts> = BTreeMap::new();
    let mut out = io::BufWriter::new(io::stdout().lock());
    each_labelled(&eval.file, |path, number, line, allowed| {
        let reading = reader.read(&line.text, &mut scratch);
        let is_wrong = reading.is_commercial() != (allowed == [Class::Commercial]);
        if eval.wrong && is_wrong {
            let name = path.display();
            writeln!(out, "{name}:{number}: {}  {}", reading.class, line.text.escape_debug())?;
        }
        let one = counts.entry((corpus(path, &line), line.target)).or_default();
        one.texts += 1;
        one.judged.iter_mut().skip(reading.class.index()).take(1).for_each(|count| *count += 1);
        one.right += u64::from(allowed.contains(&reading.class));
        Ok(())
    })?;
    if !eval.json {
        writeln!(out, "weights {}\n", reader.digest())?;
        let classes: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
        writeln!(
            out,
            "| corpus | target | texts | commercial | gate | right class | {} |",
            classes.join(" | ")
        )?;
        writeln!(out, "|---|---|---:|---:|---|---:|{}", "---:|".repeat(Class::COUNT))?;
    }
    let mut is_reached = true;
    for ((corpus, target), counts) in &counts {
        is_reached &= report(&mut out, eval.json, corpus, target, counts)?;
    }
    out.flush()?;
    Ok(if is_reached { Answer::Yes } else { Answer::No })
}

/// Writes one line; whether its gate is reached.
fn report(
    out: &mut impl Write,
    json: bool,
    corpus: &str,
    target: &str,
    counts: &Counts,
) -> Result<bool, Failure> {
    let part = |count: u64| count as f64 / counts.texts.max(1) as f64;
    let commercial = part(counts.judged.first().copied().unwrap_or(0));
    let gate = gate(target);
    let is_reached = gate
        .map(|(bound, at_least)| if at_least { commercial >= bound } else { commercial <= bound });
    if json {
        let judged: serde_json::Map<String, Value> = Class::ALL
            .iter()
            .zip(&counts.judged)
            .map(|(class, count)| (class.name().to_owned(), (*count).into()))
            .collect();
        let line = json!({"corpus": corpus, "target": target, "texts": counts.texts,
            "commercial": commercial, "gate": gate.map(|(bound, _)| bound), "reached": is_reached,
            "right": part(counts.right), "judged": judged});
        writeln!(out, "{line}")?;
        return Ok(is_reached.unwrap_or(true));
    }
    let shown = match (gate, is_reached) {
        (Some((bound, at_least)), Some(reached)) => {
            let (side, verdict) =
                (if at_least { ">=" } else { "<=" }, if reached { "reached" } else { "missed" });
            format!("{side} {:.1} % {verdict}", bound * 100.0)
        }
        _ => String::new(),
    };
    let judged: Vec<String> = counts.judged.iter().map(u64::to_string).collect();
    let (texts, commercial, right) = (counts.texts, commercial * 100.0, part(counts.right) * 100.0);
    writeln!(
        out,
        "| {corpus} | {target} | {texts} | {commercial:.2} % | {shown} | {right:.1} % | {} |",
        judged.join(" | ")
    )?;
    Ok(is_reached.unwrap_or(true))
}
