//! A tar as PostgreSQL's server writes it, taken apart as it passes.
//!
//! Headers of 512 bytes, each file padded to a multiple of that, two blocks of zeros at the end. Only what a data directory
//! consists of is known: regular files, directories, links to tablespaces.

use crate::error::{Error, Result};

const BLOCK: usize = 512;

/// One member of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Relative, without `.` or `..`, and without a `/` at its end.
    pub name: String,
    pub kind: MemberKind,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberKind {
    /// Of so many bytes.
    File(u64),
    Directory,
    /// To this place.
    Link(String),
}

/// What is told of the members, in their order.
pub trait MemberSink {
    /// A member begins.
    fn begin(&mut self, member: &Member) -> Result<()>;

    /// The next bytes of the file that began last.
    fn bytes(&mut self, bytes: &[u8]) -> Result<()>;

    /// That file is complete.
    fn end(&mut self) -> Result<()>;
}

/// Takes a tar apart that comes in pieces.
#[derive(Debug, Default)]
pub struct TarStream {
    header: Vec<u8>,
    /// Bytes that are left of the file.
    left: u64,
    /// Bytes that are left of its padding.
    padding: usize,
    in_file: bool,
    /// Blocks of zeros have begun: nothing else may follow.
    has_ended: bool,
}

impl TarStream {
    /// Takes the next piece.
    pub fn feed(&mut self, mut bytes: &[u8], sink: &mut dyn MemberSink) -> Result<()> {
        while !bytes.is_empty() {
            if self.in_file {
                let count = usize::try_from(self.left).unwrap_or(usize::MAX);
                let (own, rest) = bytes.split_at(count.min(bytes.len()));
                sink.bytes(own)?;
                self.left -= own.len() as u64;
                bytes = rest;
                self.end_file(sink)?;
            } else if self.padding > 0 {
                let count = self.padding.min(bytes.len());
                self.padding -= count;
                bytes = &bytes[count..];
            } else {
                let count = (BLOCK - self.header.len()).min(bytes.len());
                self.header.extend_from_slice(&bytes[..count]);
                bytes = &bytes[count..];
                if self.header.len() == BLOCK {
                    self.member(sink)?;
                }
            }
        }
        Ok(())
    }

    /// The stream is over. It has to end where a member could begin.
    pub fn finish(&self) -> Result<()> {
        match self.in_file || self.padding > 0 || !self.header.is_empty() {
            false if self.has_ended => Ok(()),
            _ => Err(damaged("ends before its last file is complete")),
        }
    }

    fn end_file(&mut self, sink: &mut dyn MemberSink) -> Result<()> {
        if self.in_file && self.left == 0 {
            self.in_file = false;
            sink.end()?;
        }
        Ok(())
    }

    fn member(&mut self, sink: &mut dyn MemberSink) -> Result<()> {
        let header = std::mem::take(&mut self.header);
        if header.iter().all(|byte| *byte == 0) {
            self.has_ended = true;
            return Ok(());
        }
        if self.has_ended {
            return Err(damaged("goes on after its end"));
        }
        let member = parse(&header)?;
        sink.begin(&member)?;
        if let MemberKind::File(size) = member.kind {
            self.in_file = true;
            self.left = size;
            self.padding = (BLOCK - (size % BLOCK as u64) as usize) % BLOCK;
            self.end_file(sink)?;
        }
        Ok(())
    }
}

fn damaged(what: &str) -> Error {
    Error::damaged(format!("the tar of the base backup {what}"))
}

fn parse(header: &[u8]) -> Result<Member> {
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| match at {
            148..156 => u64::from(b' '),
            _ => u64::from(*byte),
        })
        .sum();
    if number(&header[148..156]) != Some(sum) {
        return Err(damaged("has a header that does not fit its checksum"));
    }
    let prefix = text(&header[345..500])?;
    let own = text(&header[..100])?;
    let name = match prefix.is_empty() {
        true => own,
        false => format!("{prefix}/{own}"),
    };
    let name = relative(&name).ok_or_else(|| damaged("names a file outside of itself"))?;
    let kind = match header[156] {
        b'0' | 0 => MemberKind::File(
            number(&header[124..136]).ok_or_else(|| damaged("has a file of no size"))?,
        ),
        b'5' => MemberKind::Directory,
        b'2' => MemberKind::Link(text(&header[157..257])?),
        _ => return Err(damaged("has a member that no data directory has")),
    };
    Ok(Member { name, kind })
}

/// Text up to the first zero.
fn text(field: &[u8]) -> Result<String> {
    let end = field.iter().position(|byte| *byte == 0);
    let text = &field[..end.unwrap_or(field.len())];
    String::from_utf8(text.to_vec()).map_err(|_| damaged("has a name that is no text"))
}

/// A number as tar writes it: octal digits, or where those do not suffice its bytes after one with the highest bit.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let (head, bytes) = field.split_at(field.len() - 8);
        let is_small = head[0] == 0x80 && head[1..].iter().all(|byte| *byte == 0);
        let bytes = <[u8; 8]>::try_from(bytes).ok()?;
        return is_small.then(|| u64::from_be_bytes(bytes));
    }
    let digits = field
        .iter()
        .skip_while(|byte| **byte == b' ')
        .take_while(|byte| !matches!(byte, 0 | b' '));
    let mut value: Option<u64> = None;
    for digit in digits {
        let digit = char::from(*digit).to_digit(8)?;
        value = Some(value.unwrap_or(0).checked_mul(8)? + u64::from(digit));
    }
    value
}

/// The name without `./` before it and `/` behind it; `None` where it leads elsewhere.
fn relative(name: &str) -> Option<String> {
    let name = name.trim_start_matches("./").trim_end_matches('/');
    let mut parts = name.split('/');
    let fits = parts.all(|part| !part.is_empty() && part != "." && part != "..");
    (fits && !name.starts_with('/')).then(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::tar_header;
    use super::*;

    #[derive(Default)]
    struct Seen(Vec<(String, Vec<u8>)>);

    impl MemberSink for Seen {
        fn begin(&mut self, member: &Member) -> Result<()> {
            self.0.push((member.name.clone(), Vec::new()));
            Ok(())
        }

        fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
            self.0.last_mut().unwrap().1.extend(bytes);
            Ok(())
        }

        fn end(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn tar() -> Vec<u8> {
        let mut tar = tar_header::of_file("base/1/2", 600).to_vec();
        tar.extend([7; 600]);
        tar.resize(3 * BLOCK, 0);
        tar.extend(tar_header::of_file("empty", 0));
        tar.resize(6 * BLOCK, 0);
        tar
    }

    #[test]
    fn members_are_the_same_however_the_bytes_come() {
        for size in [1, 511, 512, 513, 5000] {
            let (mut stream, mut seen) = (TarStream::default(), Seen::default());
            for piece in tar().chunks(size) {
                stream.feed(piece, &mut seen).unwrap();
            }
            stream.finish().unwrap();
            let expected = [
                ("base/1/2".to_string(), vec![7; 600]),
                ("empty".into(), vec![]),
            ];
            assert_eq!(seen.0, expected);
        }
    }

    #[test]
    fn what_is_cut_flipped_or_leads_elsewhere_is_damage() {
        let good = tar();
        let read = |tar: &[u8]| {
            let mut stream = TarStream::default();
            stream.feed(tar, &mut Seen::default())?;
            stream.finish()
        };
        read(&good).unwrap();
        for end in [1, 600, 1536, 1600, 2048] {
            assert!(read(&good[..end]).is_err(), "{end}");
        }
        let mut flipped = good.clone();
        flipped[3] ^= 1;
        assert!(read(&flipped).is_err());
        for name in ["/etc/passwd", "../a", "a/../../b", "a//b"] {
            assert!(read(&tar_header::of_file(name, 0)).is_err(), "{name}");
        }
        let mut longer = good;
        longer.extend(tar_header::of_file("more", 0));
        assert!(read(&longer).is_err());
    }
}
