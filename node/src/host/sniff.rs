//! What a file's first bytes say it is: plain text, gzip, or something that we do not read.

/// Bytes looked at: enough for tar's magic at 257.
pub(crate) const SNIFF_BYTES: usize = 512;

/// How the bytes are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    #[default]
    Plain,
    /// Gzip, of one or more members.
    Gzip,
}

/// What is not read, and what to do about it.
type Unsupported = (&'static [u8], &'static str);

const COMPRESSED: &[Unsupported] = &[
    (b"\x28\xb5\x2f\xfd", "zstd is not supported: decompress it first (zstd -d)"),
    (b"\xfd7zXZ\0", "xz is not supported: decompress it first (xz -d)"),
    (b"\x04\x22\x4d\x18", "lz4 is not supported: decompress it first (lz4 -d)"),
    (b"PK\x03\x04", "a zip archive is not supported: unpack it first (unzip)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive is not supported: unpack it first"),
    (b"Rar!\x1a\x07", "a rar archive is not supported: unpack it first"),
];

const OTHER: &[Unsupported] = &[
    (b"\xa1\xb2\xc3\xd4", CAPTURE),
    (b"\xd4\xc3\xb2\xa1", CAPTURE),
    (b"\xa1\xb2\x3c\x4d", CAPTURE),
    (b"\x4d\x3c\xb2\xa1", CAPTURE),
    (b"\x0a\x0d\x0d\x0a", CAPTURE),
    (b"ElfFile\0", "a Windows event log is not supported: export it as JSON lines first"),
    (b"\xff\xfe", "UTF-16 text is not supported: convert it first (iconv -f UTF-16 -t UTF-8)"),
    (b"\xfe\xff", "UTF-16 text is not supported: convert it first (iconv -f UTF-16 -t UTF-8)"),
    (b"PAR1", "parquet is not supported: export it as CSV or JSON lines first"),
    (b"%PDF-", "a PDF is no log"),
];

const CAPTURE: &str = "a packet capture is not supported: run zeek -r or suricata -r on it first";

/// The packing of what begins with `head`, or why it is not read. Nothing at all is plain.
pub(crate) fn sniff(head: &[u8]) -> Result<Packing, &'static str> {
    if head.starts_with(b"\x1f\x8b\x08") {
        return Ok(Packing::Gzip);
    }
    let bzip2 = head.starts_with(b"BZh") && head.get(4..10) == Some(b"1AY&SY");
    if bzip2 {
        return Err("bzip2 is not supported: decompress it first (bzip2 -d)");
    }
    if let Some((_, why)) = COMPRESSED.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(why);
    }
    unpacked(head).map(|()| Packing::Plain)
}

/// Whether unpacked bytes can be a log.
pub(crate) fn unpacked(head: &[u8]) -> Result<(), &'static str> {
    if let Some((_, why)) = OTHER.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Err(why);
    }
    if head.get(257..262) == Some(b"ustar") {
        return Err("a tar archive is not supported: unpack it first (tar -x)");
    }
    if head.starts_with(b"\x1f\x8b\x08") {
        return Err("compressed twice: decompress it once first (gzip -d)");
    }
    // Text logs hold no zero byte; whatever does is a program, an image or a database.
    if head.contains(&0) { Err("a binary file is not supported") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_read_and_what_we_do_not() {
        assert_eq!(sniff(b""), Ok(Packing::Plain));
        assert_eq!(sniff(b"#separator \\x09\n"), Ok(Packing::Plain));
        assert_eq!(sniff("{\"naïve\": 1}".as_bytes()), Ok(Packing::Plain));
        assert_eq!(sniff(b"\xef\xbb\xbfts,uid\n"), Ok(Packing::Plain));
        assert_eq!(sniff(b"\x1f\x8b\x08\x00rest"), Ok(Packing::Gzip));
        for (bytes, word) in [
            (&b"\x28\xb5\x2f\xfd..."[..], "zstd"),
            (b"\xfd7zXZ\0...", "xz"),
            (b"BZh91AY&SY...", "bzip2"),
            (b"PK\x03\x04...", "zip"),
            (b"\xd4\xc3\xb2\xa1\x02\0", "zeek -r"),
            (b"\x0a\x0d\x0d\x0a", "zeek -r"),
            (b"\x7fELF\x02\x01\x01\0", "binary"),
            (b"\xff\xfet\0s\0", "UTF-16"),
        ] {
            assert!(sniff(bytes).unwrap_err().contains(word), "{word}");
        }
        // Text that only begins like a magic is text.
        assert_eq!(sniff(b"BZhello from a log"), Ok(Packing::Plain));
        let mut tar = vec![b'a'; SNIFF_BYTES];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(sniff(&tar).unwrap_err().contains("tar"));
    }
}
