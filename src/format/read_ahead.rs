//! [`ReadAhead`]: a reader that is read by a thread of its own, a few pieces ahead of whoever wants them.
//!
//! Storage, checksum and unsealing run beside decompression this way. Order and place of a failure stay as they are: it
//! comes out behind all bytes that were read before it.

use crate::error::{Doing, Error, Kind, Result};
use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Bytes that are handed over at a time.
const PIECE: usize = 256 * 1024;
/// Pieces that wait at most.
const AHEAD: usize = 4;

/// Reads what another reader gives.
///
/// It ends only once the reader below has said that it is at its end. The thread goes away with the reader below when this is
/// dropped, at the latest once a read that is under way returns; nobody waits for that.
pub struct ReadAhead {
    messages: Receiver<PieceMessage>,
    /// Buffers to be filled again.
    emptied: Sender<Vec<u8>>,
    piece: PieceAhead,
    /// How many bytes of the piece were read.
    done: usize,
    state: AheadState,
}

enum AheadState {
    Reading,
    Ended,
    Failed(Kind),
}

enum PieceMessage {
    Bytes(PieceAhead),
    /// The explicit end: a channel that merely closes is a thread that died.
    End,
    Failed(io::Error),
}

#[derive(Default)]
struct PieceAhead {
    /// Always of the same length once it is in use.
    buffer: Vec<u8>,
    filled: usize,
}

impl ReadAhead {
    /// Starts the thread, which reads `inner` to its end or first failure. What wakes a read of `inner`, as the cancellation
    /// of a run does, wakes the one who waits here.
    pub fn start(inner: impl Read + Send + 'static) -> Result<ReadAhead> {
        let (sender, messages) = sync_channel(AHEAD);
        let (emptied, buffers) = channel();
        std::thread::Builder::new()
            .name("read".into())
            .spawn(move || pump(inner, &sender, &buffers))
            .doing(|| "cannot start a thread that reads ahead")?;
        Ok(ReadAhead {
            messages,
            emptied,
            piece: PieceAhead::default(),
            done: 0,
            state: AheadState::Reading,
        })
    }

    fn next_piece(&mut self) -> io::Result<()> {
        match self.messages.recv() {
            Ok(PieceMessage::Bytes(piece)) => {
                let read = std::mem::replace(&mut self.piece, piece);
                self.done = 0;
                // a thread that is at its end needs no buffers
                let _ = self.emptied.send(read.buffer);
                Ok(())
            }
            Ok(PieceMessage::End) => {
                self.state = AheadState::Ended;
                Ok(())
            }
            Ok(PieceMessage::Failed(error)) => Err(self.failed(error)),
            Err(_) => {
                let died = Error::failed("a thread that reads ahead died before it was done");
                Err(self.failed(died.into()))
            }
        }
    }

    fn failed(&mut self, error: io::Error) -> io::Error {
        let ours = error.get_ref().and_then(|inner| inner.downcast_ref());
        self.state = AheadState::Failed(ours.map_or(Kind::Failed, Error::kind));
        error
    }
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.done == self.piece.filled {
            match self.state {
                AheadState::Reading => self.next_piece()?,
                AheadState::Ended => break,
                AheadState::Failed(kind) => {
                    let message = "reading was given up after an earlier failure";
                    return Err(Error::new(kind, message).into());
                }
            }
        }
        Ok(&self.piece.buffer[self.done..self.piece.filled])
    }

    fn consume(&mut self, count: usize) {
        self.done = self.piece.filled.min(self.done + count);
    }
}

impl Read for ReadAhead {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if space.is_empty() {
            return Ok(0);
        }
        let count = self.fill_buf()?.read(space)?;
        self.consume(count);
        Ok(count)
    }
}

/// Sends what `inner` gives, until its end or until nobody takes it any more.
fn pump(mut inner: impl Read, sender: &SyncSender<PieceMessage>, buffers: &Receiver<Vec<u8>>) {
    loop {
        let mut piece = PieceAhead {
            buffer: buffers.try_recv().unwrap_or_default(),
            filled: 0,
        };
        let last = fill(&mut inner, &mut piece);
        if piece.filled > 0 && sender.send(PieceMessage::Bytes(piece)).is_err() {
            return;
        }
        if let Some(last) = last {
            // gone before the last message: the reader below is closed before anyone learns of the end
            drop(inner);
            let _ = sender.send(last);
            return;
        }
    }
}

/// Fills `piece`; what ended it before it was full.
fn fill(inner: &mut impl Read, piece: &mut PieceAhead) -> Option<PieceMessage> {
    piece.buffer.resize(PIECE, 0);
    while piece.filled < PIECE {
        match inner.read(&mut piece.buffer[piece.filled..]) {
            Ok(0) => return Some(PieceMessage::End),
            Ok(count) => piece.filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Some(PieceMessage::Failed(error)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Gives so many bytes, a thousand at a time and with interruptions, then what `then` says.
    struct Source<F> {
        left: usize,
        calls: usize,
        then: F,
    }

    impl<F: FnMut() -> io::Result<usize>> Read for Source<F> {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls.is_multiple_of(3) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let given = self.left.min(space.len()).min(1000);
            if given == 0 {
                return (self.then)();
            }
            for byte in &mut space[..given] {
                *byte = (self.left % 251) as u8;
                self.left -= 1;
            }
            Ok(given)
        }
    }

    fn source<F: FnMut() -> io::Result<usize>>(left: usize, then: F) -> Source<F> {
        Source {
            left,
            calls: 0,
            then,
        }
    }

    fn bytes(length: usize) -> Vec<u8> {
        (1..=length).rev().map(|left| (left % 251) as u8).collect()
    }

    #[test]
    fn all_bytes_come_in_order_and_then_the_end() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 20 * PIECE + 7] {
            let mut reader = ReadAhead::start(source(length, || Ok(0))).unwrap();
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert!(read == bytes(length), "{length}");
            assert_eq!(reader.read(&mut [0; 9]).unwrap(), 0, "it stays at its end");
        }
    }

    #[test]
    fn a_failure_comes_behind_the_bytes_before_it_and_stays() {
        for length in [0, 5, PIECE, 3 * PIECE + 1] {
            let damaged = || Err(Error::damaged("the tag does not hold").hint("h").into());
            let mut reader = ReadAhead::start(source(length, damaged)).unwrap();
            let mut read = Vec::new();
            let error = Error::from(reader.read_to_end(&mut read).unwrap_err());
            assert!(read == bytes(length), "{length}");
            assert_eq!(error.to_string(), "the tag does not hold");
            assert_eq!(error.first_hint(), Some("h"));
            let again = Error::from(reader.read(&mut [0; 1]).unwrap_err());
            assert_eq!(again.kind(), Kind::Damaged);
        }
        let mut reader =
            ReadAhead::start(source(0, || Err(io::Error::from_raw_os_error(5)))).unwrap();
        assert_eq!(reader.read(&mut [0]).unwrap_err().raw_os_error(), Some(5));
    }

    #[test]
    fn a_thread_that_dies_is_a_failure_and_no_end() {
        let mut reader = ReadAhead::start(source(10, || panic!("on purpose"))).unwrap();
        let mut read = Vec::new();
        assert!(reader.read_to_end(&mut read).is_err());
        assert!(reader.read(&mut [0; 1]).is_err());
    }

    #[test]
    fn no_more_is_read_ahead_than_a_few_pieces() {
        let (sender, reads) = mpsc::channel();
        let endless = move || {
            sender.send(()).unwrap();
            Ok(PIECE)
        };
        let mut reader = ReadAhead::start(source(0, endless)).unwrap();
        reader.read_exact(&mut [0; 1]).unwrap();
        // one that is being read, those that wait, and one that has no place to wait
        for _ in 0..AHEAD + 2 {
            reads.recv().unwrap();
        }
        assert!(
            reads
                .recv_timeout(std::time::Duration::from_millis(50))
                .is_err()
        );
        drop(reader);
        // its thread ends with its source, whose sender is gone then
        while reads.recv().is_ok() {}
    }

    #[test]
    fn what_wakes_the_reader_below_wakes_who_waits() {
        let (release, held) = mpsc::channel::<()>();
        let waiting = move || {
            let _ = held.recv();
            Err(Error::new(Kind::Signal(15), "stopped by SIGTERM").into())
        };
        let mut reader = ReadAhead::start(source(0, waiting)).unwrap();
        let waiter = std::thread::spawn(move || reader.read(&mut [0; 1]));
        drop(release);
        let error = Error::from(waiter.join().unwrap().unwrap_err());
        assert_eq!(error.kind(), Kind::Signal(15));
    }
}
