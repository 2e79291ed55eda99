//! gzip and zstd: what a compressed trace decompresses to, with bounds on both memory and time.
//!
//! Memory is bounded since everything streams: gzip's window is 32 KiB, zstd's is bounded by
//! [`ZSTD_WINDOW_OCTETS_MAX`]. A small file that would keep us busy for hours is refused by
//! [`RATIO_MAX`].

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Largest window of a zstd frame, octets: what `zstd --ultra -22` and `--long` write by default
/// have 128 MiB and are refused; `zstd -19` has 8 MiB.
pub const ZSTD_WINDOW_OCTETS_MAX: u64 = 64 << 20;

/// How many times longer than itself a trace may become. Captures are 3 to 50 times as long as they
/// are compressed; a decompression bomb is a thousand times and more.
pub const RATIO_MAX: u64 = 500;

/// Octets below which [`RATIO_MAX`] does not apply.
const RATIO_FREE_OCTETS: u64 = 64 << 20;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

type Input = Box<dyn Read + Send>;
/// The octets looked at already, and those behind them.
type Whole = Counted<io::Chain<Cursor<Vec<u8>>, Input>>;

/// The trace as it was before it was compressed; itself when it is not.
pub(super) fn open(mut input: Input) -> io::Result<Input> {
    let mut first = Vec::with_capacity(4);
    input.by_ref().take(4).read_to_end(&mut first)?;
    let gzip = first.starts_with(&[0x1f, 0x8b]);
    let zstd = first == ZSTD_MAGIC || is_skippable(&first);
    let whole = Counted { inner: Cursor::new(first).chain(input), octets: 0 };
    Ok(if gzip {
        Box::new(Gzip { decoder: MultiGzDecoder::new(whole), octets: 0 })
    } else if zstd {
        Box::new(Zstd::new(whole))
    } else {
        Box::new(whole.inner)
    })
}

/// Whether a zstd frame begins here that is to be skipped (RFC 8878 3.1.2).
fn is_skippable(first: &[u8]) -> bool {
    matches!(first, [0x50..=0x5f, 0x2a, 0x4d, 0x18])
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    octets: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.octets += count as u64;
        Ok(count)
    }
}

/// Refuses what grows beyond all measure.
fn bounded(compressed: u64, decompressed: u64) -> io::Result<()> {
    if decompressed <= RATIO_FREE_OCTETS.max(compressed.saturating_mul(RATIO_MAX)) {
        return Ok(());
    }
    let why = format!(
        "{compressed} octets decompress to more than {RATIO_MAX} times as many: a decompression bomb; \
         decompress it yourself if you trust it"
    );
    Err(io::Error::other(why))
}

struct Gzip {
    decoder: MultiGzDecoder<Whole>,
    octets: u64,
}

impl Read for Gzip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.octets += count as u64;
        bounded(self.decoder.get_ref().octets, self.octets)?;
        Ok(count)
    }
}

/// Frame after frame. The decoder reads a few octets at a time: it is given a buffer.
struct Zstd {
    source: io::BufReader<Whole>,
    decoder: FrameDecoder,
    /// Whether a frame was begun and is not yet read to its end.
    within: bool,
    octets: u64,
}

impl Zstd {
    fn new(whole: Whole) -> Zstd {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW_OCTETS_MAX);
        let source = io::BufReader::with_capacity(128 * 1024, whole);
        Zstd { source, decoder, within: false, octets: 0 }
    }

    /// Begins the next frame. Answers whether there is one.
    fn begin(&mut self) -> io::Result<bool> {
        use io::BufRead;
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut frame = self.source.by_ref().take(length.into());
                    if io::copy(&mut frame, &mut io::sink())? < length.into() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    /// Compares the frame's checksum, where it has one.
    fn finish(&mut self) -> io::Result<()> {
        self.within = false;
        let stated = self.decoder.get_checksum_from_data();
        if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
            return Err(io::Error::other("the checksum of a zstd frame is wrong"));
        }
        Ok(())
    }
}

impl Read for Zstd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            if !self.within {
                if !self.begin()? {
                    return Ok(0);
                }
                self.within = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let step = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, step).map_err(io::Error::other)?;
            }
            let count = self.decoder.read(buffer)?;
            self.octets += count as u64;
            bounded(self.source.get_ref().octets, self.octets)?;
            if count > 0 {
                return Ok(count);
            }
            self.finish()?;
        }
        Ok(0)
    }
}
