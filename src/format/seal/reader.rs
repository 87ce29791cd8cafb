//! [`Opener`]: a sealed archive in, plaintext out, and not a byte of it before its frame's tag holds.

use super::frame::{FRAME, Frame, TAG, cut_or_damaged, damaged, read_up_to};
use super::header::{self, ContainerHeader};
use super::key_derivation;
use super::keys::Keys;
use super::nonce::frame_nonce;
use super::v1;
use crate::error::{Error, Kind, Result};
use crate::text::escape::printable;
use aes_gcm::Aes256Gcm;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::mem;

/// What an archive must say it is.
#[derive(Debug, Clone, Copy)]
pub enum Expect<'a> {
    /// The label that the place where it was found implies. BKENC001 has no label and passes.
    Label(&'a str),
    /// Anything: the caller looks at [`Opener::label`], or the user said that it is meant.
    Any,
}

/// The kind of container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerVersion {
    /// BKENC001: its password can be guessed at the speed of a hash, and it has no label.
    V1,
    /// BKENC002.
    V2,
}

impl fmt::Display for ContainerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ContainerVersion::V1 => "BKENC001",
            ContainerVersion::V2 => "BKENC002",
        })
    }
}

/// Reads the plaintext of a sealed archive.
///
/// It returns `Ok(0)` only after the last frame held and the reader below returned end of file, so bytes
/// after the end are found too. After a failure every further read fails. It reads large pieces; the reader
/// below needs no buffer.
pub struct Opener<R> {
    inner: R,
    label: Option<String>,
    frames: VersionedFrames,
    buffer: Vec<u8>,
    /// The plaintext in `buffer` that waits to be read.
    ready: std::ops::Range<usize>,
    state: ReadingState,
}

enum VersionedFrames {
    V1(v1::FramesV1),
    V2(FramesV2),
}

#[derive(Clone, Copy)]
enum ReadingState {
    Reading,
    Ended,
    Failed(Kind),
}

impl<R: Read> Opener<R> {
    /// Reads and authenticates the header, and dispatches on its magic.
    ///
    /// [`Kind::WrongPassword`] if no password of `keys` opens the archive, [`Kind::Usage`] if there are none,
    /// [`Kind::Refused`] if the label isn't the expected one, [`Kind::Damaged`] for all that is wrong with the
    /// header itself.
    pub fn open(mut inner: R, keys: &Keys, expected: Expect) -> Result<Opener<R>> {
        let mut magic = [0; 8];
        header::read_exact(&mut inner, &mut magic)?;
        if &magic == v1::MAGIC {
            return Opener::open_v1(inner, keys);
        }
        if &magic != header::MAGIC {
            return Err(if magic.starts_with(b"BKENC") {
                header::newer(format!("the container {}", magic.escape_ascii()))
            } else {
                Error::damaged("the archive does not begin as an encrypted one does")
            });
        }

        let header = ContainerHeader::read(&mut inner)?;
        let file_key = header.unlock(keys)?;
        require(expected, &header.label)?;
        Ok(Opener {
            inner,
            frames: VersionedFrames::V2(FramesV2 {
                cipher: key_derivation::payload_cipher(&header.file_salt, &file_key),
                index: 0,
                header: header.length,
                ahead: None,
            }),
            label: Some(header.label),
            buffer: vec![0; FRAME + 1],
            ready: 0..0,
            state: ReadingState::Reading,
        })
    }

    /// The first frame is all that tells whether a password is right, so it is opened here.
    fn open_v1(mut inner: R, keys: &Keys) -> Result<Opener<R>> {
        let mut buffer = vec![0; v1::MAX_FRAME];
        let (frames, first) = v1::FramesV1::open(&mut inner, keys, &mut buffer)?;
        Ok(Opener {
            inner,
            label: None,
            frames: VersionedFrames::V1(frames),
            buffer,
            ready: 0..first.length,
            state: if first.last {
                ReadingState::Ended
            } else {
                ReadingState::Reading
            },
        })
    }

    /// What the archive says it is: `database/timestamp`. Authentic, yet for [`printable`] to show.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// The kind of container.
    pub fn version(&self) -> ContainerVersion {
        match self.frames {
            VersionedFrames::V1(_) => ContainerVersion::V1,
            VersionedFrames::V2(_) => ContainerVersion::V2,
        }
    }

    fn next_frame(&mut self) -> Result<()> {
        let next = match &mut self.frames {
            VersionedFrames::V1(frames) => frames.next(&mut self.inner, &mut self.buffer),
            VersionedFrames::V2(frames) => frames.next(&mut self.inner, &mut self.buffer),
        };
        match next {
            Ok(frame) => {
                self.ready = 0..frame.length;
                self.state = if frame.last {
                    ReadingState::Ended
                } else {
                    ReadingState::Reading
                };
                Ok(())
            }
            Err(error) => {
                self.state = ReadingState::Failed(error.kind());
                Err(error)
            }
        }
    }
}

impl<R: Read> BufRead for Opener<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.ready.is_empty() {
            match self.state {
                ReadingState::Reading => self.next_frame()?,
                ReadingState::Ended => break,
                ReadingState::Failed(kind) => {
                    let message = "reading the archive was given up after an earlier failure";
                    return Err(Error::new(kind, message).into());
                }
            }
        }
        Ok(&self.buffer[self.ready.clone()])
    }

    fn consume(&mut self, count: usize) {
        self.ready.start = self.ready.end.min(self.ready.start + count);
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

fn require(expected: Expect, label: &str) -> Result<()> {
    match expected {
        Expect::Label(expected) if expected != label => Err(Error::refused(format!(
            "the archive found as {} says that it is {}",
            printable(expected),
            printable(label)
        ))
        .hint("somebody renamed or exchanged it; if that is meant, --force opens it all the same")),
        _ => Ok(()),
    }
}

/// The frames of BKENC002.
struct FramesV2 {
    cipher: Aes256Gcm,
    /// The index of the next frame; wider than the format's, so that the end of those is seen.
    index: u64,
    /// Bytes before the first frame.
    header: u64,
    /// The first byte of the next frame, read to learn that there is one.
    ahead: Option<u8>,
}

impl FramesV2 {
    fn next(&mut self, inner: &mut impl Read, buffer: &mut [u8]) -> Result<Frame> {
        let place = self.header + self.index * FRAME as u64;
        let mut filled = 0;
        if let Some(byte) = mem::take(&mut self.ahead) {
            buffer[0] = byte;
            filled = 1;
        }
        filled += read_up_to(inner, &mut buffer[filled..])?;
        // a byte more than a frame says that another one follows
        let last = filled <= FRAME;
        if !last {
            self.ahead = Some(buffer[FRAME]);
        }
        let sealed = &mut buffer[..filled.min(FRAME)];

        if sealed.len() < TAG || (sealed.len() == TAG && self.index > 0) {
            return Err(cut_or_damaged(place));
        }
        let index = u32::try_from(self.index).map_err(|_| damaged(place))?;
        let nonce = frame_nonce(index, last);
        let length = key_derivation::decrypt(&self.cipher, &nonce, sealed).ok_or_else(|| {
            if last {
                cut_or_damaged(place)
            } else {
                damaged(place)
            }
        })?;
        self.index += 1;
        Ok(Frame { length, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::seal::key_derivation::Key;

    #[test]
    fn a_frame_past_the_last_index_is_damage() {
        let cipher = key_derivation::cipher(&Key::default());
        let mut sealed = b"text".to_vec();
        let tag = key_derivation::encrypt(&cipher, &frame_nonce(0, true), &mut sealed).unwrap();
        sealed.extend_from_slice(&tag);
        let mut frames = FramesV2 {
            cipher,
            index: 1 << 32,
            header: 171,
            ahead: None,
        };
        let error = frames
            .next(&mut &sealed[..], &mut vec![0; FRAME + 1])
            .err()
            .unwrap();
        assert_eq!(error.kind(), Kind::Damaged);
        assert!(error.to_string().contains("281543696187563"), "{error}");
    }
}
