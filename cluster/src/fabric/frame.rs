//! Frames: four bytes of length, then as many bytes; the length is checked before there is room.

use super::error::Error;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a frame of an established connection is: a number that pairs request and answer, and the
/// rest. The number of an answer has [`ANSWER`] set.
pub(super) struct Frame {
    pub number: u64,
    pub body: Vec<u8>,
}

/// Marks an answer.
pub(super) const ANSWER: u64 = 1 << 63;

/// Bytes before the body of a [`Frame`].
const NUMBER: usize = 8;

/// Reads a frame of at most `limit` bytes; nothing at the end of the stream.
pub(super) async fn read_bytes(
    from: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(length) = read_length(from, limit).await? else { return Ok(None) };
    Ok(Some(read_rest(from, length).await?))
}

/// Reads so many bytes, into room that is not zeroed before: frames of events are large.
async fn read_rest(from: &mut (impl AsyncRead + Unpin), length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    let mut rest = from.take(length as u64);
    while bytes.len() < length {
        if rest.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(bytes)
}

/// Reads the length of a frame, before there is room for it.
async fn read_length(
    from: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<Option<usize>, Error> {
    let mut length = [0; 4];
    // An end within the length or the frame is an error, one before it is not.
    if from.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..]).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > limit { Err(Error::TooLarge { found: length, limit }) } else { Ok(Some(length)) }
}

/// Writes a frame; the caller flushes.
pub(super) async fn write_bytes(
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    limit: usize,
) -> Result<(), Error> {
    check(bytes.len(), limit)?;
    to.write_all(&(bytes.len() as u32).to_le_bytes()).await?;
    Ok(to.write_all(bytes).await?)
}

/// Reads a [`Frame`].
pub(super) async fn read(
    from: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<Option<Frame>, Error> {
    let Some(length) = read_length(from, limit).await? else { return Ok(None) };
    let Some(rest) = length.checked_sub(NUMBER) else {
        let short = io::Error::new(io::ErrorKind::InvalidData, "a frame without number");
        return Err(Error::Io(short));
    };
    let mut number = [0; NUMBER];
    from.read_exact(&mut number).await?;
    let body = read_rest(from, rest).await?;
    Ok(Some(Frame { number: u64::from_le_bytes(number), body }))
}

/// Writes a [`Frame`]; the caller flushes.
pub(super) async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    frame: &Frame,
    limit: usize,
) -> Result<(), Error> {
    let length = NUMBER + frame.body.len();
    check(length, limit)?;
    to.write_all(&(length as u32).to_le_bytes()).await?;
    to.write_all(&frame.number.to_le_bytes()).await?;
    Ok(to.write_all(&frame.body).await?)
}

/// Refuses a body that makes a frame over the limit, before it is sent.
pub(super) fn check_body(body: &[u8], limit: usize) -> Result<(), Error> {
    check(NUMBER + body.len(), limit)
}

const fn check(found: usize, limit: usize) -> Result<(), Error> {
    if found > limit { Err(Error::TooLarge { found, limit }) } else { Ok(()) }
}
