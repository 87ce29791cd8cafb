//! The frames of PostgreSQL's protocol: a type, a length that counts itself, a body.

use crate::error::{Error, Kind, Result};
use std::io::{self, Read, Write};

/// What comes in one read, unless a frame is larger.
const BUFFER: usize = 256 * 1024;
/// No frame is larger: the server cuts what it streams into far smaller ones.
const LARGEST: usize = 16 << 20;

/// The type of a frame, as the server names it.
pub(super) type Tag = u8;

/// Frames from a stream. A frame lives until the next is read.
pub(super) struct Frames<S> {
    stream: S,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<S: Read + Write> Frames<S> {
    pub fn new(stream: S) -> Frames<S> {
        Frames {
            stream,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
        }
    }

    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Sends these bytes.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream
            .write_all(bytes)
            .and_then(|()| self.stream.flush())
            .map_err(Error::from)
    }

    /// The next frame: its type, and where its body is in [`Frames::body`].
    pub fn next(&mut self) -> Result<(Tag, MessageBody)> {
        self.have(5)?;
        let head = &self.buffer[self.start..self.start + 5];
        let tag = head[0];
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if !(4..=LARGEST).contains(&length) {
            return Err(not_postgresql());
        }
        self.have(length + 1)?;
        let body = MessageBody {
            start: self.start + 5,
            end: self.start + 1 + length,
        };
        self.start = body.end;
        Ok((tag, body))
    }

    /// The bytes of the frame that was read last.
    pub fn body(&self, body: MessageBody) -> &[u8] {
        &self.buffer[body.start..body.end]
    }

    /// The first byte of a body, and where the rest of it is.
    pub fn split_first(&self, body: MessageBody) -> Result<(u8, MessageBody)> {
        let first = self.body(body).first().ok_or_else(not_postgresql)?;
        let rest = MessageBody {
            start: body.start + 1,
            end: body.end,
        };
        Ok((*first, rest))
    }

    /// True where the next frame is here already.
    pub fn has_frame(&self) -> bool {
        let ready = &self.buffer[self.start..self.end];
        match ready {
            [_, a, b, c, d, ..] => {
                let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
                ready.len() > length
            }
            _ => false,
        }
    }

    /// Reads until so many bytes are here, which begin the buffer where they would not fit else.
    fn have(&mut self, count: usize) -> Result<()> {
        if self.end - self.start >= count {
            return Ok(());
        }
        if self.start + count > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if count > self.buffer.len() {
                self.buffer.resize(count, 0);
            }
        }
        while self.end - self.start < count {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(closed()),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Where the body of a frame is.
#[derive(Debug, Clone, Copy)]
pub(super) struct MessageBody {
    start: usize,
    end: usize,
}

/// The server, or what is in its place, ended the connection.
pub(super) fn closed() -> Error {
    Error::new(Kind::Unavailable, "the server closed the connection")
        .hint("look into the log of the server: it stopped, or somebody ended the session")
}

/// What answers is no PostgreSQL server.
pub(super) fn not_postgresql() -> Error {
    Error::failed("what answers does not speak PostgreSQL's protocol")
        .hint("are host and port those of a PostgreSQL server? A pooler does not do: replication needs the server itself")
}

/// One frame to send.
pub(super) fn frame(tag: Tag, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![tag];
    frame.extend((body.len() as u32 + 4).to_be_bytes());
    frame.extend(body);
    frame
}

/// A command.
pub(super) fn query(sql: &str) -> Vec<u8> {
    let mut body = sql.as_bytes().to_vec();
    body.push(0);
    frame(b'Q', &body)
}

/// The fields of a body, read from its front.
pub(super) struct BodyFields<'a>(pub &'a [u8]);

impl<'a> BodyFields<'a> {
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or_else(not_postgresql)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    pub fn u16(&mut self) -> Result<u16> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub fn i32(&mut self) -> Result<i32> {
        let bytes = self.bytes(4)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub fn u64(&mut self) -> Result<u64> {
        let mut eight = [0; 8];
        eight.copy_from_slice(self.bytes(8)?);
        Ok(u64::from_be_bytes(eight))
    }

    /// Text that ends in a zero.
    pub fn text(&mut self) -> Result<String> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let text = self.bytes(end.ok_or_else(not_postgresql)?)?;
        self.byte()?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// The columns of a row, as text.
    pub fn row(mut self) -> Result<Vec<Option<String>>> {
        let count = self.u16()?;
        let columns = (0..count).map(|_| match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| not_postgresql())?;
                let text = String::from_utf8_lossy(self.bytes(length)?);
                Ok(Some(text.into_owned()))
            }
        });
        columns.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn frames_are_told_apart_however_the_bytes_come() {
        let mut bytes = frame(b'd', &[7; 300_000]);
        bytes.extend(frame(b'Z', b"I"));
        let mut frames = Frames::new(Cursor::new(bytes));
        let (tag, body) = frames.next().unwrap();
        assert_eq!((tag, frames.body(body).len()), (b'd', 300_000));
        let (tag, body) = frames.next().unwrap();
        assert_eq!((tag, frames.body(body)), (b'Z', &b"I"[..]));
        assert_eq!(frames.next().unwrap_err().kind(), Kind::Unavailable);
    }

    #[test]
    fn what_is_no_frame_is_refused_before_anything_is_allocated() {
        for bytes in [&b"HTTP/1.1 400"[..], b"R\0\0\0\x03", b"R\xff\xff\xff\xff"] {
            let mut frames = Frames::new(Cursor::new(bytes.to_vec()));
            assert_eq!(frames.next().unwrap_err().kind(), Kind::Failed);
        }
        assert!(BodyFields(&[0, 2, 0, 0, 0, 9, b'a']).row().is_err());
    }
}
