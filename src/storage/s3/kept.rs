//! Whether a server keeps what was sent to it. That it answered "stored" says nothing of that; looking does:
//!
//! 1. The object is there, carries the token of its upload and has the size that was sent.
//! 2. Its ETag is the MD5 of what was sent, or of several parts the MD5 of their MD5s and their number: then the server
//!    has hashed the right bytes.
//! 3. Where the ETag could be such an MD5 and is another one, all of the object is read back and compared part by part.
//!    So a server that changed a byte is found out by its honest ETag, and one with ETags of its own is not accused.
//! 4. Else the first and the last [`END`] bytes are read back, which is all of a small object: a server that repeats the
//!    size and the ETag of what it was sent may still keep less, or something else.
//!
//! An ETag says nothing where a key of the server's or of ours encrypts the object, or where the answers to parts showed
//! that ETags are no MD5s there. What lies in an archive class cannot be read, so there the HEAD alone decides.

use super::client::S3Client;
use super::read;
use super::request::Answer;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::text::human::human_bytes;
use crate::text::ours;
use md5::{Digest, Md5};
use std::io::Read;

/// The metadata that holds the token of an upload.
pub(super) const TOKEN: &str = "x-amz-meta-backupkit-upload";
/// So many bytes are read back from the beginning of an object and from its end.
const END: usize = 64 * 1024;
const CHUNK: usize = 256 * 1024;

/// One part of what was sent, or all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SentPart {
    pub bytes: u64,
    pub md5: Vec<u8>,
}

/// The first and the last bytes of what was sent.
#[derive(Debug, Default, Clone)]
pub(super) struct Ends {
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Ends {
    /// Takes in the next piece, which is not empty unless all of it is. Only the last one's own end is kept.
    pub fn take_in(&mut self, piece: &[u8]) {
        if self.first.is_empty() {
            self.first = piece[..piece.len().min(END)].to_vec();
        }
        self.last.clear();
        self.last
            .extend_from_slice(&piece[piece.len().saturating_sub(END)..]);
    }
}

/// What was sent of an object, as far as it is compared with what is kept.
#[derive(Debug, Clone)]
pub(super) struct SentObject {
    parts: Vec<SentPart>,
    ends: Ends,
    /// The ETag of a server that has hashed just this.
    etag: String,
}

impl SentObject {
    /// An object that went up in one request.
    pub fn whole(body: &[u8], md5: Vec<u8>) -> SentObject {
        let mut ends = Ends::default();
        ends.take_in(body);
        SentObject {
            etag: hex(&md5),
            parts: vec![SentPart {
                bytes: body.len() as u64,
                md5,
            }],
            ends,
        }
    }

    /// An object that went up in parts.
    pub fn of_parts(parts: Vec<SentPart>, ends: Ends) -> SentObject {
        let mut hash = Md5::new();
        for part in &parts {
            hash.update(&part.md5);
        }
        SentObject {
            etag: format!("{}-{}", hex(&hash.finalize()), parts.len()),
            parts,
            ends,
        }
    }

    fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// What a HEAD tells of an object.
#[derive(Debug)]
pub(super) struct FoundObject {
    /// Of the upload that made it.
    pub token: Option<String>,
    bytes: Option<u64>,
    etag: Option<String>,
    /// With a key, so that its ETag is no hash of what was sent.
    is_encrypted: bool,
    /// In a class that is not read at once.
    is_archived: bool,
}

impl FoundObject {
    /// What a good answer to a HEAD tells.
    pub fn of(answer: &Answer) -> FoundObject {
        let text = |name| answer.header(name).map(str::to_string);
        FoundObject {
            token: text(TOKEN),
            bytes: answer
                .header("content-length")
                .and_then(|text| text.parse().ok()),
            etag: text("etag"),
            is_encrypted: answer.is_encrypted(),
            is_archived: matches!(
                answer.header("x-amz-storage-class"),
                Some("GLACIER" | "DEEP_ARCHIVE")
            ),
        }
    }
}

/// Where an object lies.
pub(super) struct ObjectPlace<'a> {
    pub client: &'a S3Client,
    pub key: &'a str,
    /// Its address, for people.
    pub shown: &'a str,
}

impl ObjectPlace<'_> {
    /// Fails where the object `found` here is not what was sent. `answered` is the ETag in the answer to the write.
    pub fn require(
        &self,
        sent: &SentObject,
        found: &FoundObject,
        answered: Option<&str>,
        cancel: &Cancel,
    ) -> Result<()> {
        let bytes = sent.bytes();
        match found.bytes {
            Some(kept) if kept == bytes => {}
            Some(kept) => {
                return Err(self.differs(format!("{bytes} bytes were sent, and {kept} are there")));
            }
            None => return Err(self.differs("it does not tell the size")),
        }
        if found.is_archived {
            return Ok(());
        }
        let compared = match self.judge(sent, found, answered) {
            EtagVerdict::Doubtful => {
                log::info!(
                    "reading {} of {} back, whose ETag is not that of what was sent",
                    human_bytes(bytes),
                    self.shown
                );
                self.compare_all(sent, cancel)
            }
            EtagVerdict::Same | EtagVerdict::Silent => self.compare_ends(sent, cancel),
        };
        compared.map_err(|error| match error.kind() {
            // this is about a write: no backup was looked for
            Kind::NotFound => self.differs("it cannot be read back").because(error),
            _ => error,
        })
    }

    fn judge(&self, sent: &SentObject, found: &FoundObject, answered: Option<&str>) -> EtagVerdict {
        let other_kind = self.client.shared.etags_are_md5.get() == Some(&false);
        let Some(etag) = found.etag.as_deref().map(bare) else {
            return EtagVerdict::Silent;
        };
        if etag.eq_ignore_ascii_case(&sent.etag) {
            return EtagVerdict::Same;
        }
        let is_another = answered.is_some_and(|answered| bare(answered) != etag);
        match found.is_encrypted || other_kind {
            false if is_another || could_be_md5(etag) => EtagVerdict::Doubtful,
            _ => EtagVerdict::Silent,
        }
    }

    fn compare_ends(&self, sent: &SentObject, cancel: &Cancel) -> Result<()> {
        let Ends { first, last } = &sent.ends;
        let bytes = sent.bytes();
        let is_all = bytes == first.len() as u64;
        self.compare_at(0, first, is_all, cancel)?;
        match is_all {
            true => Ok(()),
            false => self.compare_at(bytes - last.len() as u64, last, true, cancel),
        }
    }

    /// Compares what lies at `offset` with `wanted`, after which nothing may follow if it `ends` the object.
    fn compare_at(&self, offset: u64, wanted: &[u8], ends: bool, cancel: &Cancel) -> Result<()> {
        let limit = wanted.len() as u64 + u64::from(ends);
        let mut got = Vec::new();
        self.open(offset, cancel)?
            .take(limit)
            .read_to_end(&mut got)?;
        if got == wanted {
            return Ok(());
        }
        let same = got.iter().zip(wanted).take_while(|(a, b)| a == b).count();
        let at = offset + same as u64;
        Err(self.differs(format!("from byte {at} on it is not what was sent")))
    }

    /// Reads the whole object back.
    fn compare_all(&self, sent: &SentObject, cancel: &Cancel) -> Result<()> {
        let mut object = self.open(0, cancel)?;
        let mut buffer = vec![0; CHUNK];
        for (index, part) in sent.parts.iter().enumerate() {
            let (mut left, mut hash) = (part.bytes, Md5::new());
            while left > 0 {
                let wanted = left.min(CHUNK as u64) as usize;
                let count = object.read(&mut buffer[..wanted])?;
                if count == 0 {
                    return Err(self.differs("it ends before what was sent"));
                }
                hash.update(&buffer[..count]);
                left -= count as u64;
            }
            if hash.finalize()[..] != part.md5[..] {
                return Err(self.differs(match sent.parts.len() {
                    1 => "its bytes are not those that were sent".to_string(),
                    parts => format!("part {} of {parts} is not what was sent", index + 1),
                }));
            }
        }
        match object.read(&mut buffer[..1])? {
            0 => Ok(()),
            _ => Err(self.differs("it goes on after what was sent")),
        }
    }

    fn open(&self, offset: u64, cancel: &Cancel) -> Result<Box<dyn Read + Send>> {
        let (key, shown) = (self.key.to_string(), self.shown.to_string());
        read::open(self.client, key, shown, offset, cancel)
    }

    /// The server said that it stored the object, and it is not there as it was sent.
    pub fn differs(&self, how: impl Into<String>) -> Error {
        let host = self.client.host();
        Error::failed(format!(
            "cannot write {}: {host} answered that it was stored, but {}",
            self.shown,
            how.into()
        ))
        .hint(format!(
            "look into the disks and the logs of that server, and check what else it holds: {}",
            ours::command("verify --all")
        ))
    }
}

/// What an ETag says of an object of the right size.
enum EtagVerdict {
    /// The server has hashed what was sent.
    Same,
    /// Perhaps it has hashed something else.
    Doubtful,
    Silent,
}

/// An ETag without its quotes and without what proxies put before it.
fn bare(etag: &str) -> &str {
    etag.trim_start_matches("W/").trim_matches('"')
}

/// An MD5 in hex, or one and the number of parts.
fn could_be_md5(etag: &str) -> bool {
    let (hash, parts) = etag.split_once('-').unwrap_or((etag, "1"));
    hash.len() == 32
        && hash.bytes().all(|letter| letter.is_ascii_hexdigit())
        && parts.parse::<u32>().is_ok()
}

/// Bytes as an ETag shows them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(bytes: &[u8]) -> SentPart {
        SentPart {
            bytes: bytes.len() as u64,
            md5: Md5::digest(bytes).to_vec(),
        }
    }

    #[test]
    fn the_etag_of_parts_is_the_one_of_amazon() {
        // printf 'a' and 'b' | md5sum, both digests in binary | md5sum
        let sent = SentObject::of_parts(vec![part(b"a"), part(b"b")], Ends::default());
        assert_eq!(sent.etag, "96e024ba2074fe77e8e965ba43a704be-2");
        let whole = SentObject::whole(b"a", Md5::digest(b"a").to_vec());
        assert_eq!(whole.etag, "0cc175b9c0f1b6a831c399e269772661");
        assert_eq!(sent.bytes(), 2);
    }

    #[test]
    fn ends_are_those_of_the_whole() {
        let mut ends = Ends::default();
        let (first, last) = (vec![1; END + 5], vec![2; 7]);
        ends.take_in(&first);
        ends.take_in(&last);
        assert_eq!((ends.first.len(), &ends.last), (END, &last));
        let mut short = Ends::default();
        short.take_in(b"abc");
        assert_eq!(
            (&short.first[..], &short.last[..]),
            (&b"abc"[..], &b"abc"[..])
        );
    }

    #[test]
    fn only_what_has_the_form_of_an_md5_is_compared() {
        for etag in [
            "9ed2e871ed38c7fd2cab6fabb84a6a3d",
            "9ED2E871ED38C7FD2CAB6FABB84A6A3D-12",
        ] {
            assert!(could_be_md5(etag), "{etag}");
        }
        for etag in [
            "",
            "CPjR4v7cz4MDEAE=",
            "9ed2e871ed38c7fd2cab6fabb84a6a3d-x",
            "9ed2e871ed38c7fd2cab6fabb84a6a3",
        ] {
            assert!(!could_be_md5(etag), "{etag}");
        }
        assert_eq!(bare("W/\"abc\""), "abc");
    }
}
