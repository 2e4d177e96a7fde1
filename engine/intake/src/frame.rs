//! Bytes to records: lines, and JSON documents written over several lines.
//!
//! Holds at most one chunk and one record. A record over the limit is not held: its bytes are
//! dropped as they come, and only its length and beginning are told. What records mean is not
//! known here.

use memchr::memchr;
use threat::event::Position;
use threat::limits::QUARANTINE_EXCERPT;

/// A record, or the place of one that is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Bytes `start..end` of [`Framer::bytes`].
    Record { start: usize, end: usize },
    /// A record over the limit: its length and its beginning.
    TooLong { length: u64, excerpt: Vec<u8> },
    /// The source broke off: what was left of a record, `start..end` of [`Framer::bytes`].
    Broken { start: usize, end: usize },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Open,
    Finished,
    Aborted,
    /// The end has been told.
    Told,
}

/// A record whose bytes are being dropped.
#[derive(Debug)]
struct Skip {
    length: u64,
    excerpt: Vec<u8>,
    ended: bool,
}

/// Splits pushed bytes into records.
#[derive(Debug)]
pub(crate) struct Framer {
    buffer: Vec<u8>,
    /// Start of the record being framed.
    head: usize,
    /// Start of the line being framed; after `head` only inside of a document.
    line_start: usize,
    /// Bytes before this hold no line end that has not been looked at.
    scanned: usize,
    /// Indentation of the brace that opened a document.
    document: Option<usize>,
    /// Source offset of the buffer's first byte.
    base: u64,
    /// Lines before `head`, and complete lines of the document in it.
    lines: u64,
    document_lines: u64,
    skip: Option<Skip>,
    end: End,
    limit: usize,
}

impl Framer {
    pub(crate) fn new(offset: u64, lines: u64, limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            head: 0,
            line_start: 0,
            scanned: 0,
            document: None,
            base: offset,
            lines,
            document_lines: 0,
            skip: None,
            end: End::Open,
            limit,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// The place of the next record.
    pub(crate) fn position(&self) -> Position {
        Position { offset: self.base + self.head as u64, line: self.lines + 1 }
    }

    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        if self.end != End::Open {
            return;
        }
        if let Some(skip) = self.skip.as_mut().filter(|s| !s.ended) {
            match memchr(b'\n', bytes) {
                Some(i) => {
                    skip.length += i as u64;
                    skip.ended = true;
                    bytes = &bytes[i + 1..];
                }
                None => {
                    skip.length += bytes.len() as u64;
                    return;
                }
            }
        }
        self.compact();
        self.buffer.extend_from_slice(bytes);
    }

    /// Drops what has been framed. An unusually large buffer is given back once it is empty.
    fn compact(&mut self) {
        self.base += self.head as u64;
        self.line_start -= self.head;
        self.scanned -= self.head;
        self.buffer.drain(..self.head);
        self.head = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * self.limit {
            self.buffer = Vec::new();
        }
    }

    pub(crate) fn finish(&mut self) {
        if self.end == End::Open {
            self.end = End::Finished;
        }
    }

    pub(crate) fn abort(&mut self) {
        if self.end == End::Open {
            self.end = End::Aborted;
        }
    }

    /// The next record with its place; after it, `position` is behind it.
    pub(crate) fn next(&mut self) -> Option<(Position, Frame)> {
        let position = self.position();
        if self.skip.is_some() {
            return self.end_of_skip(position);
        }
        loop {
            let Some(i) = memchr(b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                return self.tail(position);
            };
            let line_end = self.scanned + i;
            self.scanned = line_end + 1;
            let line = &self.buffer[self.line_start..line_end];
            let indent = line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            let content = line[indent..].trim_ascii_end();
            match self.document {
                None if content == b"{" => self.document = Some(indent),
                None => return Some((position, self.cut(line_end, line_end + 1, 1))),
                Some(depth) if indent <= depth && !content.is_empty() => {
                    if content[0] == b'}' {
                        let lines = self.document_lines + 1;
                        return Some((position, self.cut(line_end, line_end + 1, lines)));
                    }
                    // the document was left open: what begins here is another record
                    self.scanned = self.line_start;
                    let end = self.line_start;
                    return Some((
                        position,
                        self.cut(end.saturating_sub(1), end, self.document_lines),
                    ));
                }
                Some(_) => {}
            }
            self.line_start = line_end + 1;
            self.document_lines += 1;
            if self.line_start - self.head > self.limit {
                // a document over the limit ends with the line that crosses it
                let lines = self.document_lines;
                return Some((position, self.cut(line_end, line_end + 1, lines)));
            }
        }
    }

    /// Frames `head..end` and goes on at `next`.
    fn cut(&mut self, end: usize, next: usize, lines: u64) -> Frame {
        let start = self.head;
        self.head = next;
        self.line_start = next;
        self.scanned = self.scanned.max(next);
        self.document = None;
        self.document_lines = 0;
        self.lines += lines;
        if end - start > self.limit {
            let length = (end - start) as u64;
            return Frame::TooLong { length, excerpt: self.excerpt(start, end) };
        }
        Frame::Record { start, end }
    }

    fn excerpt(&self, start: usize, end: usize) -> Vec<u8> {
        self.buffer[start..end.min(start + QUARANTINE_EXCERPT)].to_vec()
    }

    /// No further line end: wait, begin to drop, or hand out what is left.
    fn tail(&mut self, position: Position) -> Option<(Position, Frame)> {
        let length = self.buffer.len();
        if length - self.head > self.limit {
            let excerpt = self.excerpt(self.head, length);
            self.skip = Some(Skip { length: (length - self.head) as u64, excerpt, ended: false });
            self.base += self.head as u64;
            self.lines += self.document_lines;
            self.buffer.clear();
            (self.head, self.line_start, self.scanned) = (0, 0, 0);
            self.document = None;
            self.document_lines = 0;
            return if self.end == End::Open { None } else { self.end_of_skip(position) };
        }
        let start = self.head;
        let lines = self.document_lines + u64::from(length > self.line_start);
        match self.end {
            End::Finished if length > start => {
                self.end = End::Told;
                Some((position, self.cut(length, length, lines)))
            }
            End::Aborted => {
                self.end = End::Told;
                self.cut(length, length, lines);
                Some((position, Frame::Broken { start, end: length }))
            }
            _ => None,
        }
    }

    /// A dropped record is told when its end is known.
    fn end_of_skip(&mut self, position: Position) -> Option<(Position, Frame)> {
        let ended = self.skip.as_ref()?.ended;
        if !ended && self.end == End::Open {
            return None;
        }
        let skip = self.skip.take()?;
        self.base += skip.length + u64::from(ended);
        self.lines += 1;
        Some((position, Frame::TooLong { length: skip.length, excerpt: skip.excerpt }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(chunks: &[&[u8]], limit: usize) -> Vec<(u64, u64, String)> {
        let mut framer = Framer::new(0, 0, limit);
        let mut all = Vec::new();
        let mut drain = |framer: &mut Framer| {
            while let Some((p, frame)) = framer.next() {
                let text = match frame {
                    Frame::Record { start, end } => {
                        String::from_utf8_lossy(&framer.bytes()[start..end]).into_owned()
                    }
                    Frame::TooLong { length, .. } => format!("<{length}>"),
                    Frame::Broken { start, end } => format!("broken {}", end - start),
                };
                all.push((p.offset, p.line, text));
            }
        };
        for chunk in chunks {
            framer.push(chunk);
            drain(&mut framer);
        }
        framer.finish();
        drain(&mut framer);
        let total: usize = chunks.iter().map(|c| c.len()).sum();
        assert_eq!(framer.position().offset, total as u64);
        all
    }

    #[test]
    fn lines_documents_and_long_records_keep_their_places() {
        let input = b"a\n{\n  \"b\": {\n  }\n}\nccccccccccccccccccccccccccccccccccc\n\nd";
        let expected = vec![
            (0, 1, "a".into()),
            (2, 2, "{\n  \"b\": {\n  }\n}".into()),
            (19, 6, "<35>".into()),
            (55, 7, String::new()),
            (56, 8, "d".into()),
        ];
        assert_eq!(frames(&[input], 30), expected);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(frames(&bytes, 30), expected);
    }

    #[test]
    fn an_open_document_ends_where_another_record_begins() {
        let input = b"{\n  \"a\": 1\n{\"b\": 2}\nx\n";
        let texts: Vec<String> = frames(&[input], 100).into_iter().map(|f| f.2).collect();
        assert_eq!(texts, ["{\n  \"a\": 1", "{\"b\": 2}", "x"]);
    }

    #[test]
    fn a_record_without_end_is_not_held() {
        let mut framer = Framer::new(0, 0, 1_000);
        let chunk = vec![b'x'; 10_000];
        for _ in 0..10_000 {
            framer.push(&chunk);
            assert_eq!(framer.next(), None);
            assert!(framer.buffer.capacity() <= 20_000);
        }
        framer.push(b"\nnext\n");
        let Some((_, Frame::TooLong { length, excerpt })) = framer.next() else {
            panic!("not told")
        };
        assert_eq!((length, excerpt.len()), (100_000_000, QUARANTINE_EXCERPT));
        assert_eq!(framer.next().unwrap().0, Position { offset: 100_000_001, line: 2 });
    }
}
