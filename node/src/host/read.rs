//! Bytes of a file, a pipe or standard input, unpacked if they are gzip.
//!
//! There are no lines here: a chunk may end anywhere. What is good before an error is given out
//! before the error.

use super::sniff::{Packing, SNIFF_BYTES, sniff, unpacked};
use super::walk::Place;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes asked for at once: large enough that system calls cost nothing beside decoding, small
/// enough to stay in the second-level cache on its way.
pub const CHUNK_BYTES: usize = 128 << 10;

/// Packed bytes buffered in front of the gzip decoder.
const PACKED_BYTES: usize = 64 << 10;

/// Why bytes cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host says no.
    #[error("{name}: {source}")]
    Io {
        /// The file.
        name: String,
        /// What the host said.
        source: io::Error,
    },
    /// Not a kind of file that we read.
    #[error("{name}: {why}")]
    Unsupported {
        /// The file.
        name: String,
        /// What it is, and what to do.
        why: &'static str,
    },
    /// The gzip stream ends too early or is damaged. Everything before it was given out.
    #[error("{name}: gzip data are {what} at byte {packed} (byte {unpacked} unpacked)")]
    Damaged {
        /// The file.
        name: String,
        /// `cut off` or `damaged`.
        what: &'static str,
        /// Packed bytes that were consumed.
        packed: u64,
        /// Unpacked bytes that were given out.
        unpacked: u64,
    },
}

/// Counts what passes, readable from elsewhere.
struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// The bytes of one input, from its beginning.
pub struct ByteSource {
    name: String,
    reader: Box<dyn Read + Send>,
    packing: Packing,
    consumed: Arc<AtomicU64>,
    produced: u64,
    /// Met while looking at the first bytes; told after they were given out.
    broken: Option<io::Error>,
}

impl ByteSource {
    /// Opens a place and looks at its first bytes.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened, [`Error::Unsupported`] for what is no text log.
    pub fn open(place: &Place) -> Result<Self, Error> {
        let name = place.to_string();
        match place {
            Place::Stdin => Self::new(name, io::stdin()),
            Place::File(path) => match File::open(path) {
                Ok(file) => Self::new(name, file),
                Err(source) => Err(Error::Io { name, source }),
            },
        }
    }

    /// From any reader.
    pub fn new(name: String, reader: impl Read + Send + 'static) -> Result<Self, Error> {
        let consumed = Arc::new(AtomicU64::new(0));
        let mut reader = Counted { inner: reader, count: Arc::clone(&consumed) };
        let io = |name: &str| {
            let name = name.to_owned();
            move |source| Error::Io { name, source }
        };
        let no = |name: &str| {
            let name = name.to_owned();
            move |why| Error::Unsupported { name, why }
        };
        let head = head(&mut reader).map_err(io(&name))?;
        let packing = sniff(&head).map_err(no(&name))?;
        let whole = Cursor::new(head).chain(reader);
        let mut broken = None;
        let reader: Box<dyn Read + Send> = match packing {
            Packing::Plain => Box::new(whole),
            Packing::Gzip => {
                let buffered = BufReader::with_capacity(PACKED_BYTES, whole);
                let mut gzip = MultiGzDecoder::new(buffered);
                let mut inner = vec![0; SNIFF_BYTES];
                let (n, error) = fill(&mut gzip, &mut inner);
                broken = error;
                inner.truncate(n);
                unpacked(&inner).map_err(no(&name))?;
                let inner = Cursor::new(inner);
                // After an error the decoder would say that all is well and over.
                if broken.is_some() { Box::new(inner) } else { Box::new(inner.chain(gzip)) }
            }
        };
        Ok(Self { name, reader, packing, consumed, produced: 0, broken })
    }

    /// Appends at most [`CHUNK_BYTES`] to `out`; 0 at the end. A pipe gives what it has.
    ///
    /// # Errors
    /// Only after everything good before the error was given out; there is nothing after it.
    pub fn read_chunk(&mut self, out: &mut Vec<u8>) -> Result<usize, Error> {
        let before = out.len();
        out.resize(before + CHUNK_BYTES, 0);
        let read = loop {
            match self.reader.read(&mut out[before..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        out.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.broken.take().map_or(Ok(0), |e| Err(self.explain(e))),
            Ok(n) => {
                self.produced += n as u64;
                Ok(n)
            }
            Err(source) => {
                self.reader = Box::new(io::empty());
                Err(self.explain(source))
            }
        }
    }

    /// Passes over the first bytes, as when going on after a restart. False if there are not so
    /// many.
    pub fn skip(&mut self, bytes: u64) -> Result<bool, Error> {
        let mut rest = (&mut self.reader).take(bytes);
        let skipped = io::copy(&mut rest, &mut io::sink()).map_err(|e| self.explain(e))?;
        self.produced += skipped;
        Ok(skipped == bytes)
    }

    fn explain(&self, source: io::Error) -> Error {
        let what = match (self.packing, source.kind()) {
            (Packing::Gzip, io::ErrorKind::UnexpectedEof) => "cut off",
            (Packing::Gzip, io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => "damaged",
            _ => return Error::Io { name: self.name.clone(), source },
        };
        Error::Damaged {
            name: self.name.clone(),
            what,
            packed: self.consumed(),
            unpacked: self.produced,
        }
    }

    /// How the bytes are packed.
    pub const fn packing(&self) -> Packing {
        self.packing
    }

    /// Bytes taken from the host so far, packed if the source is: compare with
    /// [`Input::size`](super::walk::Input::size) for progress.
    pub fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// Unpacked bytes given out so far: the offset of the next one.
    pub const fn offset(&self) -> u64 {
        self.produced
    }
}

/// The first bytes. Of a pipe that is slow only what came with the first write, so that a line is
/// not held back until the next one.
fn head(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    /// Bytes of the longest magic that must be seen whole.
    const MAGIC: usize = 10;
    let mut head = vec![0; SNIFF_BYTES];
    let mut n = 0;
    while n < MAGIC {
        match reader.read(&mut head[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    head.truncate(n);
    Ok(head)
}

/// Fills `buf` as far as there is anything: how far, and the error that ended it.
fn fill(reader: &mut impl Read, buf: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut n = 0;
    while n < buf.len() {
        match reader.read(&mut buf[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (n, Some(e)),
        }
    }
    (n, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut e = GzEncoder::new(Vec::new(), Compression::default());
        e.write_all(bytes).unwrap();
        e.finish().unwrap()
    }

    fn lines(n: usize) -> Vec<u8> {
        (0..n).flat_map(|i| format!("{i}\trecord {}\n", i * i).into_bytes()).collect()
    }

    /// All good bytes, and the error after them.
    fn drain(bytes: Vec<u8>) -> (Vec<u8>, Option<Error>) {
        let mut s = ByteSource::new("t".into(), Cursor::new(bytes)).unwrap();
        let mut out = Vec::new();
        loop {
            match s.read_chunk(&mut out) {
                Ok(0) => return (out, None),
                Ok(_) => assert_eq!(s.offset(), out.len() as u64),
                Err(e) => return (out, Some(e)),
            }
        }
    }

    #[test]
    fn plain_and_gzip_of_several_members_give_the_same_bytes() {
        let text = lines(60_000);
        assert!(text.len() > 4 * CHUNK_BYTES);
        let (a, b) = text.split_at(text.len() / 3);
        let members = [gzip(a), gzip(b""), gzip(b)].concat();
        for bytes in [text.clone(), gzip(&text), members] {
            let (out, error) = drain(bytes);
            assert!(error.is_none(), "{error:?}");
            assert_eq!(out, text);
        }
        assert_eq!(drain(Vec::new()).0, b"");
        assert_eq!(drain(gzip(b"")).0, b"");
    }

    #[test]
    fn a_cut_gzip_gives_what_is_good_and_then_the_position() {
        let text = lines(60_000);
        let packed = gzip(&text);
        let cut = packed.len() * 2 / 3;
        let (out, error) = drain(packed[..cut].to_vec());
        assert!(out.len() > text.len() / 2 && text.starts_with(&out));
        let Some(Error::Damaged { what, packed: at, unpacked, .. }) = error else {
            panic!("{error:?}")
        };
        assert_eq!((what, at, unpacked), ("cut off", cut as u64, out.len() as u64));
        // Cut inside of the trailer: all is good, and still it is told.
        assert_eq!(drain(packed[..packed.len() - 3].to_vec()).0, text);
    }

    #[test]
    fn a_gzip_may_be_cut_anywhere() {
        let text = lines(100);
        let packed = gzip(&text);
        for cut in 3..packed.len() {
            let (out, error) = drain(packed[..cut].to_vec());
            assert!(text.starts_with(&out), "cut at {cut}");
            assert!(error.is_some(), "cut at {cut}");
        }
    }

    #[test]
    fn damage_and_what_follows_the_last_member_are_told() {
        let text = lines(20_000);
        let mut packed = gzip(&text);
        let n = packed.len();
        packed[n - 6] ^= 1;
        let (out, error) = drain(packed);
        assert_eq!(out, text);
        assert!(error.unwrap().to_string().contains("damaged"));
        let (out, error) = drain([gzip(&text), b"rest of something".to_vec()].concat());
        assert_eq!(out, text);
        assert!(error.is_some());
    }

    #[test]
    fn progress_is_in_packed_bytes_and_skipping_in_unpacked() {
        let text = lines(50_000);
        let packed = gzip(&text);
        let total = packed.len() as u64;
        let mut s = ByteSource::new("t".into(), Cursor::new(packed)).unwrap();
        assert_eq!(s.packing(), Packing::Gzip);
        assert!(s.skip(1_000).unwrap());
        let mut out = Vec::new();
        while s.read_chunk(&mut out).unwrap() > 0 {}
        assert_eq!(out, &text[1_000..]);
        assert_eq!((s.consumed(), s.offset()), (total, text.len() as u64));
        assert!(!s.skip(1).unwrap());
    }

    #[test]
    fn what_is_inside_of_a_gzip_is_looked_at_too() {
        let why = |bytes: Vec<u8>| match ByteSource::new("t".into(), Cursor::new(bytes)) {
            Err(e) => e.to_string(),
            Ok(_) => String::new(),
        };
        assert!(why(gzip(b"\xd4\xc3\xb2\xa1\x02\0\x04\0")).contains("packet capture"));
        assert!(why(gzip(&gzip(b"text"))).contains("twice"));
        assert!(why(b"\x28\xb5\x2f\xfd rest".to_vec()).contains("decompress it first"));
    }

    /// A pipe that hands out its line and then waits for ever.
    struct Slow(Option<&'static [u8]>);

    impl Read for Slow {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.take().expect("a line must not wait for the next one");
            buf[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn a_pipe_gives_what_it_has() {
        let mut s = ByteSource::new("-".into(), Slow(Some(b"one whole line\n"))).unwrap();
        let mut out = Vec::new();
        assert_eq!(s.read_chunk(&mut out).unwrap(), 15);
        assert_eq!(out, b"one whole line\n");
    }
}
