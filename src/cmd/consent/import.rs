//! `consentry consent import`: a file of events, streamed, resumable, nothing dropped in silence.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::{Answer, Failure};
use super::place::{self, Opened, Place, now_us};
use crate::admin::BODY_OCTETS_MAX;
use crate::consent::csv::Header;
use crate::consent::desk::Ask;
use crate::consent::desk::Told;
use crate::consent::line::{self, Defaults, LINE_OCTETS_MAX, Line, LineFault};
use crate::consent::shared::engine;
use crate::consent::{
    CHUNK_EVENTS_MAX, Gathered, HEAD_OCTETS, ImportKey, Ledger, NameFault, Progress, ProofKind,
    Refused, Source,
};

/// Lines of the first chunk that is written to the store at once; each has that many more than three times
/// those done before it, up to [`CHUNK_EVENTS_MAX`]. So an import that was killed cuts its next chunk as it
/// had cut it before, by which the ledger knows it again.
const CHUNK_LINES: usize = 25_000;
/// Octets of a chunk's lines, kept for those that are refused.
const CHUNK_OCTETS_MAX: usize = 128 << 20;
/// How often the progress bar is drawn.
const DRAW: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: place::Where,
    /// The file; `-` is standard input, which cannot be resumed.
    file: PathBuf,
    /// csv or ndjson; known by the file's name when not said.
    #[arg(long)]
    format: Option<String>,
    /// The legal entity of lines that name none.
    #[arg(long)]
    entity: Option<String>,
    /// The document that proves the lines that name no proof, such as the entity's commitment.
    #[arg(long, value_name = "FILE")]
    proof_file: Option<PathBuf>,
    /// What that document is.
    #[arg(long, value_name = "KIND", default_value = "commitment")]
    proof: String,
    /// Where refused lines go, one JSON object each: line, why, text.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// A file on its own: nothing said about it that its lines do not say.
    pub(super) fn of(config: &Path, file: &Path) -> Args {
        Args {
            place: place::Where::of(config),
            file: file.to_owned(),
            format: None,
            entity: None,
            proof_file: None,
            proof: ProofKind::Commitment.name().to_owned(),
            rejects: None,
            json: false,
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Answer, Failure> {
    let format = Format::of(args)?;
    let defaults = defaults(args)?;
    let opened = args.place.open()?;
    let mut import = Import::begin(args, &opened, format)?;
    let (before, journal) = (import.done.taken, opened.place.journal()?);
    let imported = import.lines(&defaults);
    import.bar.clear();
    let done = &import.done;
    let taken = done.taken.saturating_sub(before);
    let sha256 = line::digest(&done.sha256).unwrap_or_default();
    let told = (taken > 0).then_some(Told::Imported { taken, sha256, time_us: now_us() });
    place::keep(journal, told.as_slice())?;
    imported?;
    let result = json!({
        "lines": done.lines, "taken": done.taken, "known": done.known, "refused": done.refused,
    });
    if args.json {
        place::print(&format!("{result}\n"))?;
    } else {
        place::print(&format!(
            "{} lines: {} events taken, {} known already, {} lines refused\n",
            done.lines, done.taken, done.known, done.refused
        ))?;
    }
    warn_of_strangers(&opened, &import.entities);
    Ok(if done.refused > 0 { Answer::No } else { Answer::Yes })
}

fn warn_of_strangers(opened: &Opened, entities: &std::collections::BTreeSet<String>) {
    let Some(providers) = &opened.providers else { return };
    for name in entities.iter().filter(|name| !providers.contains(name)) {
        eprintln!(
            "note: no provider of the registry is named {name}: its consent binds nobody yet"
        );
    }
}

fn defaults(args: &Args) -> Result<Defaults, Failure> {
    let Some(kind) = ProofKind::from_name(&args.proof) else {
        return Err(Failure(
            "--proof is none of commitment, paper, web, message, call, other".into(),
        ));
    };
    let proof = match &args.proof_file {
        Some(file) => Some((kind, super::proof_digest(Some(file), None)?)),
        None => None,
    };
    Ok(Defaults { entity: args.entity.clone(), proof })
}

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Ndjson,
}

impl Format {
    fn of(args: &Args) -> Result<Format, Failure> {
        let extension = args.file.extension().unwrap_or_default().to_string_lossy();
        let name = args.format.as_deref().unwrap_or(&extension);
        match name.to_ascii_lowercase().as_str() {
            "csv" => Ok(Format::Csv),
            "ndjson" | "jsonl" | "json" => Ok(Format::Ndjson),
            _ => Err(Failure("name the file's format: --format csv or --format ndjson".to_owned())),
        }
    }
}

/// An import under way.
struct Import<'a> {
    place: &'a Place,
    input: Box<dyn BufRead>,
    format: Format,
    header: Option<Header>,
    /// `None` when the input cannot be read again.
    key: Option<ImportKey>,
    /// Of all octets read.
    sha256: Sha256,
    done: Progress,
    chunk: Chunk,
    rejects: Option<File>,
    bar: Bar,
    entities: std::collections::BTreeSet<String>,
    /// Whether it was said what grants without a time mean.
    is_undated_said: bool,
}

/// Lines that were read and not written.
#[derive(Default)]
struct Chunk {
    /// For the store.
    gathered: Gathered,
    /// For a proxy.
    body: String,
    /// Of each event, or of each line of the body: the line's number, and where its text is.
    lines: Vec<(u64, Range<u32>)>,
    /// The lines' texts.
    text: Vec<u8>,
}

impl<'a> Import<'a> {
    /// Opens the file where an earlier import of it stopped.
    fn begin(args: &Args, opened: &'a Opened, format: Format) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure(format!("{}: {error}", args.file.display()));
        let is_stdin = args.file == Path::new("-");
        let mut sha256 = Sha256::new();
        let (mut done, mut key, mut octets) = (Progress::default(), None, None);
        let mut header = None;
        let input: Box<dyn BufRead> = if is_stdin {
            Box::new(io::stdin().lock())
        } else {
            let mut file = File::open(&args.file).map_err(failed)?;
            octets = file.metadata().ok().map(|metadata| metadata.len());
            let mut head = Vec::new();
            (&mut file).take(HEAD_OCTETS as u64).read_to_end(&mut head).map_err(failed)?;
            let import = ImportKey::of(&head);
            key = Some(import);
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            if let Some(earlier) = progress(&opened.place, import)?
                && let Some(read) = resumed(&mut file, &earlier).map_err(failed)?
            {
                if format == Format::Csv && earlier.lines > 0 {
                    header = Some(read_header(&head)?);
                }
                eprintln!("resumed at line {}, where an earlier import stopped", earlier.lines + 1);
                (done, sha256) = (earlier, read);
            }
            file.seek(SeekFrom::Start(done.offset)).map_err(failed)?;
            Box::new(BufReader::with_capacity(1 << 20, file))
        };
        let rejects =
            args.rejects.as_ref().map(|path| rejects(path, done.lines > 0)).transpose()?;
        let bar = Bar::new(octets);
        Ok(Self {
            place: &opened.place,
            input,
            format,
            header,
            key,
            sha256,
            done,
            chunk: Chunk::default(),
            rejects,
            bar,
            entities: Default::default(),
            is_undated_said: false,
        })
    }

    /// Reads all lines and writes them chunk by chunk.
    fn lines(&mut self, defaults: &Defaults) -> Result<(), Failure> {
        let mut line = Vec::new();
        let mut at = self.done.clone();
        while let Some(is_whole) = read_line(&mut self.input, &mut line, &mut self.sha256, &mut at)?
        {
            let number = at.lines;
            let text = line.trim_ascii();
            let taken = if !is_whole {
                Err(LineFault::Whole(format!("the line is longer than {LINE_OCTETS_MAX} octets")))
            } else if text.is_empty() {
                Ok(())
            } else {
                self.take(number, text, defaults)
            };
            match taken {
                Ok(()) => {}
                Err(LineFault::Name(_, NameFault::Unavailable(why))) => return Err(why.into()),
                Err(fault) if number == 1 && self.format == Format::Csv => {
                    return Err(Failure(format!("line 1: {fault}")));
                }
                Err(fault) => {
                    reject(&mut self.bar, &mut self.rejects, number, &fault.to_string(), text)?;
                    at.refused += 1;
                }
            }
            if self.chunk.is_full(self.lines_max()) {
                self.write(&mut at)?;
            }
            self.bar.draw(&at);
        }
        self.write(&mut at)?;
        match self.place {
            Place::Store(ledger, _) => Ok(ledger.end_import()?),
            Place::Proxy(_) => Ok(()),
        }
    }

    /// Lines of the chunk at hand.
    fn lines_max(&self) -> usize {
        match self.place {
            // One transaction each, with how far the import came: none of its lines is taken twice.
            Place::Store(Ledger::Shared(_), _) => engine::CHUNK_EVENTS_MAX,
            _ => lines_max(&self.done),
        }
    }

    /// Takes one line into the chunk.
    fn take(&mut self, number: u64, text: &[u8], defaults: &Defaults) -> Result<(), LineFault> {
        let utf8 = || str::from_utf8(text).map_err(|_| LineFault::Whole("is not UTF-8".to_owned()));
        if self.format == Format::Csv && self.header.is_none() {
            self.header = Some(Header::read(utf8()?)?);
            return Ok(());
        }
        let mut line = match &self.header {
            Some(header) => header.line(utf8()?)?,
            None => Line::from_json(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text))?,
        };
        line.fill(defaults);
        if !self.entities.contains(&*line.entity) && !line.entity.is_empty() {
            self.entities.insert(line.entity.clone().into_owned());
        }
        if line.is_undated_grant() && !self.is_undated_said {
            self.is_undated_said = true;
            self.bar.clear();
            eprintln!(
                "note: line {number} and perhaps others do not say when consent was given: such a line counts \
                 as of now, and brings back nobody who refused"
            );
        }
        match self.place {
            Place::Store(ledger, _) => {
                line.events(ledger, Source::File, now_us(), &mut self.chunk.gathered)?;
                let count = self.chunk.gathered.events.len();
                self.chunk.keep(number, text, count);
            }
            Place::Proxy(_) => {
                line.recipient()?;
                self.chunk.body.push_str(&line.to_json());
                self.chunk.body.push('\n');
                let count = self.chunk.lines.len() + 1;
                self.chunk.keep(number, text, count);
            }
        }
        Ok(())
    }

    /// Writes the chunk; what is refused then is rejected before anything is on the disk.
    fn write(&mut self, at: &mut Progress) -> Result<(), Failure> {
        at.sha256 = line::hex(&self.sha256.clone().finalize());
        let mut chunk = std::mem::take(&mut self.chunk);
        match self.place {
            Place::Store(ledger, _) => self.write_store(ledger, &chunk, at)?,
            Place::Proxy(_) => self.write_proxy(&chunk, at)?,
        }
        chunk.clear();
        self.chunk = chunk;
        self.done = at.clone();
        Ok(())
    }

    fn write_store(
        &mut self,
        ledger: &Ledger,
        chunk: &Chunk,
        at: &mut Progress,
    ) -> Result<(), Failure> {
        let key = self.key.unwrap_or(ImportKey([0; 32]));
        let (bar, rejects) = (&mut self.bar, &mut self.rejects);
        let mut failed = None;
        // More events than lines: revocations that name no entity. Only the last run is noted as
        // progress: should it end before, the others are taken again, and known.
        let all = &chunk.gathered.events;
        let runs = all.len().div_ceil(CHUNK_EVENTS_MAX).max(1);
        for run in 0..runs {
            let from = run * CHUNK_EVENTS_MAX;
            let to = (from + CHUNK_EVENTS_MAX).min(all.len());
            let events = all.get(from..to).unwrap_or_default();
            let mut partial = Progress {
                taken: at.taken,
                known: at.known,
                refused: at.refused,
                ..self.done.clone()
            };
            let done = if run + 1 == runs { &mut *at } else { &mut partial };
            ledger.import(key, events, now_us(), done, &mut |refused: &[Refused]| {
                for one in refused {
                    let Some((number, text)) = chunk.line(from + one.at) else { continue };
                    let why = one.fault.to_string();
                    failed = failed.take().or(reject(bar, rejects, number, &why, text).err());
                }
            })?;
            if run + 1 < runs {
                (at.taken, at.known, at.refused) = (partial.taken, partial.known, partial.refused);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn write_proxy(&mut self, chunk: &Chunk, at: &mut Progress) -> Result<(), Failure> {
        if !chunk.body.is_empty() {
            let answer: Value = serde_json::from_str(&self.place.ask(Ask::Import, &chunk.body)?)?;
            at.taken += answer["taken"].as_u64().unwrap_or(0);
            for refused in answer["refused"].as_array().into_iter().flatten() {
                let line = refused["line"].as_u64().and_then(|line| usize::try_from(line).ok());
                let place = line.and_then(|line| chunk.line(line.checked_sub(1)?));
                let Some((number, text)) = place else { continue };
                let why = refused["why"].as_str().unwrap_or("refused");
                reject(&mut self.bar, &mut self.rejects, number, why, text)?;
                at.refused += 1;
            }
        }
        if let Some(key) = self.key {
            let note = json!({ "import": line::hex(&key.0), "progress": at });
            self.place.ask(Ask::Note, &note.to_string())?;
        }
        Ok(())
    }
}

/// Says why a line was refused, and puts it to the others.
fn reject(
    bar: &mut Bar,
    file: &mut Option<File>,
    number: u64,
    why: &str,
    text: &[u8],
) -> Result<(), Failure> {
    bar.clear();
    eprintln!("line {number}: {why}");
    if let Some(file) = file {
        let text = String::from_utf8_lossy(text);
        writeln!(file, "{}", json!({ "line": number, "why": why, "text": text }))?;
    }
    Ok(())
}

impl Chunk {
    fn is_full(&self, lines_max: usize) -> bool {
        self.lines.len() >= lines_max
            || self.text.len() + LINE_OCTETS_MAX > CHUNK_OCTETS_MAX
            || self.body.len() + 2 * LINE_OCTETS_MAX > BODY_OCTETS_MAX
    }

    /// Keeps a line for each event that it has, `count` with those before it.
    fn keep(&mut self, number: u64, text: &[u8], count: usize) {
        // CHUNK_OCTETS_MAX at most.
        let from = self.text.len() as u32;
        self.text.extend_from_slice(text);
        let place = from..self.text.len() as u32;
        self.lines.resize(count, (number, place));
    }

    /// The line of an event: its number and text.
    fn line(&self, at: usize) -> Option<(u64, &[u8])> {
        let (number, Range { start, end }) = self.lines.get(at)?;
        Some((*number, self.text.get(*start as usize..*end as usize).unwrap_or_default()))
    }

    /// Empties it, for the next lines.
    fn clear(&mut self) {
        self.gathered.clear();
        self.body.clear();
        self.lines.clear();
        self.text.clear();
    }
}

/// How far an earlier import came.
fn progress(place: &Place, key: ImportKey) -> Result<Option<Progress>, Failure> {
    let asked = json!({ "import": line::hex(&key.0) });
    Ok(serde_json::from_str(&place.ask(Ask::Progress, &asked.to_string())?)?)
}

/// The digest over what an earlier import did, if the file still begins with it.
fn resumed(file: &mut File, earlier: &Progress) -> io::Result<Option<Sha256>> {
    let mut sha256 = Sha256::new();
    let read = digest_into(&mut file.take(earlier.offset), &mut sha256)?;
    let same = read == earlier.offset && line::hex(&sha256.clone().finalize()) == earlier.sha256;
    Ok(same.then_some(sha256))
}

/// Takes all of a file into a digest; how many octets that were.
pub(super) fn digest_into(from: &mut impl Read, sha256: &mut Sha256) -> io::Result<u64> {
    let mut octets = vec![0; 1 << 18];
    let mut count = 0;
    loop {
        match from.read(&mut octets)? {
            0 => return Ok(count),
            read => {
                sha256.update(octets.get(..read).unwrap_or_default());
                count += read as u64;
            }
        }
    }
}

fn read_header(head: &[u8]) -> Result<Header, Failure> {
    let first = head.split(|octet| *octet == b'\n').next().unwrap_or_default();
    let first = str::from_utf8(first.trim_ascii());
    Ok(Header::read(first.map_err(|_| Failure("line 1: is not UTF-8".to_owned()))?)?)
}

fn rejects(path: &Path, is_resumed: bool) -> Result<File, Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    options.create(true).write(true).mode(0o600);
    let options = if is_resumed { options.append(true) } else { options.truncate(true) };
    options.open(path).map_err(|error| Failure(format!("--rejects {}: {error}", path.display())))
}

/// Reads a line without keeping more of it than may be. `Some(false)`: it was too long. `None`: the
/// end. Counts it and its octets.
fn read_line(
    input: &mut dyn BufRead,
    line: &mut Vec<u8>,
    sha256: &mut Sha256,
    at: &mut Progress,
) -> io::Result<Option<bool>> {
    line.clear();
    let mut is_whole = true;
    let mut read_any = false;
    loop {
        let octets = input.fill_buf()?;
        if octets.is_empty() {
            at.lines += u64::from(read_any);
            return Ok(read_any.then_some(is_whole));
        }
        read_any = true;
        let end = octets.iter().position(|octet| *octet == b'\n');
        let taken = octets.get(..end.map_or(octets.len(), |end| end + 1)).unwrap_or(octets);
        sha256.update(taken);
        if line.len() + taken.len() > LINE_OCTETS_MAX {
            is_whole = false;
            line.truncate(0);
        }
        if is_whole {
            line.extend_from_slice(taken);
        }
        let count = taken.len();
        at.offset += count as u64;
        input.consume(count);
        if end.is_some() {
            at.lines += 1;
            return Ok(Some(is_whole));
        }
    }
}

/// The progress bar: on a terminal only.
struct Bar {
    octets: Option<u64>,
    begun: Instant,
    drawn: Option<Instant>,
    first_line: Option<u64>,
    is_terminal: bool,
}

impl Bar {
    fn new(octets: Option<u64>) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { octets, begun: Instant::now(), drawn: None, first_line: None, is_terminal }
    }

    fn draw(&mut self, at: &Progress) {
        let first = *self.first_line.get_or_insert(at.lines);
        // A look at the clock every so many lines is enough.
        if !self.is_terminal || !at.lines.is_multiple_of(1024) {
            return;
        }
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < DRAW) {
            return;
        }
        self.drawn = Some(Instant::now());
        let seconds = self.begun.elapsed().as_secs().max(1);
        let rate = at.lines.saturating_sub(first) / seconds;
        let share =
            self.octets.and_then(|octets| at.offset.saturating_mul(100).checked_div(octets));
        let share = share.map_or_else(String::new, |share| {
            let filled = usize::try_from(share / 4).unwrap_or(25).min(25);
            format!("[{:<25}] {share:>3} %  ", "#".repeat(filled))
        });
        eprint!("\r{share}{} lines  {rate} lines/s  {} refused\x1b[K", at.lines, at.refused);
    }

    /// Takes the bar off the terminal, so that something else can be said.
    fn clear(&mut self) {
        if self.drawn.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

/// Lines of the chunk that begins when so much is done.
fn lines_max(done: &Progress) -> usize {
    let lines = usize::try_from(done.lines).unwrap_or(usize::MAX);
    lines.saturating_mul(3).saturating_add(CHUNK_LINES).min(CHUNK_EVENTS_MAX)
}
