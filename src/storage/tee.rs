//! One stream to several uploads at once.
//!
//! Each upload has a thread of its own and a short queue, so a slow destination slows the stream and holds no more
//! than its queue. One that fails, or takes nothing for [`STALLED`], is dropped, which aborts it; the stream goes on
//! as long as one is left.

use super::{CLEAN_UP, Upload};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a destination may take nothing before it is given up.
pub const STALLED: Duration = Duration::from_secs(5 * 60);
/// Pieces that a destination may lag behind.
const QUEUE: usize = 4;
/// How long uploads may take to remove what they wrote: they keep to their limit, and start a moment later.
const ABORTING: Duration = CLEAN_UP.saturating_add(Duration::from_secs(1));
/// How often a wait looks whether the run was cancelled.
const LOOK: Duration = Duration::from_millis(200);

/// Uploads that get the same bytes.
pub struct Tee {
    lanes: Vec<Lane>,
    cancel: Cancel,
}

type LaneEnd = Result<Box<dyn Upload>>;

/// One upload and its thread.
struct Lane {
    state: LaneState,
    /// One message for each piece that the upload has taken. Closes when its thread is done with it.
    taken: Receiver<()>,
    /// Pieces that may be sent before one more must have been taken.
    room: usize,
    stalled: Duration,
}

enum LaneState {
    Running {
        pieces: Sender<Piece>,
        thread: JoinHandle<LaneEnd>,
    },
    /// With the upload only if it had the end of the stream.
    Ended(LaneEnd),
}

enum Piece {
    Bytes(Arc<[u8]>),
    /// The explicit end: a queue that merely closes aborts the upload.
    End,
}

impl Tee {
    /// Starts a thread for each upload; `stalled` is [`STALLED`] outside of tests.
    pub fn new(uploads: Vec<Box<dyn Upload>>, stalled: Duration, cancel: &Cancel) -> Result<Tee> {
        let lanes: Result<Vec<Lane>> = uploads
            .into_iter()
            .map(|upload| Lane::start(upload, stalled))
            .collect();
        Ok(Tee {
            lanes: lanes?,
            cancel: cancel.clone(),
        })
    }

    /// Ends the stream: for each upload, in the order they were given, itself ready for its commit or why it failed.
    /// An error of the whole is the run's cancellation.
    pub fn finish(mut self) -> Result<Vec<LaneEnd>> {
        for lane in &mut self.lanes {
            lane.send(Piece::End, &self.cancel)?;
        }
        for lane in &mut self.lanes {
            while lane.is_running() {
                lane.wait(&self.cancel)?;
            }
        }
        let ended = self.lanes.drain(..).map(|lane| match lane.state {
            LaneState::Ended(ended) => ended,
            LaneState::Running { .. } => Err(gone()),
        });
        Ok(ended.collect())
    }
}

impl Drop for Tee {
    /// Ends the uploads that are still running and waits for them: they remove what they wrote on threads of their
    /// own, which would die with the process.
    fn drop(&mut self) {
        // all queues close before the first wait
        let ending: Vec<_> = self
            .lanes
            .drain(..)
            .filter_map(|lane| match lane.state {
                LaneState::Running { thread, .. } => Some((lane.taken, thread)),
                LaneState::Ended(_) => None,
            })
            .collect();
        let give_up = Instant::now() + ABORTING;
        for (taken, thread) in ending {
            let over = loop {
                match taken.recv_timeout(give_up.saturating_duration_since(Instant::now())) {
                    Ok(()) => {}
                    Err(reason) => break reason,
                }
            };
            if over == RecvTimeoutError::Disconnected {
                // with an upload in it that had its end and is not wanted any more
                drop(thread.join());
            }
        }
    }
}

impl Write for Tee {
    /// Fails only when no upload is left, with the first one's reason; the others' are logged.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece: Arc<[u8]> = bytes.into();
        for lane in &mut self.lanes {
            lane.send(Piece::Bytes(Arc::clone(&piece)), &self.cancel)?;
        }
        if self.lanes.iter().any(Lane::is_running) {
            return Ok(bytes.len());
        }
        let mut reasons = self.lanes.drain(..).filter_map(|lane| match lane.state {
            LaneState::Ended(Err(error)) => Some(error),
            _ => None,
        });
        let first = reasons.next().unwrap_or_else(gone);
        for error in reasons.filter(|error| !error.ends_the_run()) {
            log::error!("{}", error.report());
        }
        Err(first.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lane {
    fn start(upload: Box<dyn Upload>, stalled: Duration) -> Result<Lane> {
        let (pieces, queue) = channel();
        let (took, taken) = channel();
        let thread = std::thread::Builder::new()
            .name("upload".into())
            .spawn(move || {
                let ended = pump(upload, queue, &took);
                // only now: an upload that failed has removed what it wrote
                drop(took);
                ended
            })
            .doing(|| "cannot start an upload")?;
        Ok(Lane {
            state: LaneState::Running { pieces, thread },
            taken,
            room: QUEUE,
            stalled,
        })
    }

    fn is_running(&self) -> bool {
        matches!(self.state, LaneState::Running { .. })
    }

    /// Sends one piece once there is room for it. An error is the run's cancellation; the upload's own failure
    /// only ends this lane.
    fn send(&mut self, piece: Piece, cancel: &Cancel) -> Result<()> {
        while self.taken.try_recv().is_ok() {
            self.room += 1;
        }
        while self.room == 0 && self.is_running() {
            self.wait(cancel)?;
        }
        if let LaneState::Running { pieces, .. } = &self.state {
            match pieces.send(piece) {
                Ok(()) => self.room -= 1,
                Err(_) => self.collect(),
            }
        }
        Ok(())
    }

    /// Waits until the upload has taken one more piece, or the lane has ended.
    fn wait(&mut self, cancel: &Cancel) -> Result<()> {
        let began = Instant::now();
        loop {
            cancel.check()?;
            match self.taken.recv_timeout(LOOK) {
                Ok(()) => {
                    self.room += 1;
                    return Ok(());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.collect();
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) if began.elapsed() < self.stalled => {}
                Err(RecvTimeoutError::Timeout) => {
                    // the thread, when it comes back, finds its queue closed and aborts the upload
                    self.state = LaneState::Ended(Err(Error::new(
                        Kind::Unavailable,
                        format!("it took nothing for {:?} and was given up", self.stalled),
                    )));
                    return Ok(());
                }
            }
        }
    }

    /// Takes the result of a thread that has ended.
    fn collect(&mut self) {
        let given_up = LaneState::Ended(Err(gone()));
        if let LaneState::Running { thread, .. } = std::mem::replace(&mut self.state, given_up) {
            self.state = LaneState::Ended(thread.join().unwrap_or_else(|_| Err(gone())));
        }
    }
}

/// Hands the pieces of `queue` to `upload`, up to their end.
fn pump(mut upload: Box<dyn Upload>, queue: Receiver<Piece>, took: &Sender<()>) -> LaneEnd {
    loop {
        match queue.recv() {
            Ok(Piece::Bytes(bytes)) => upload.write_all(&bytes)?,
            Ok(Piece::End) => return Ok(upload),
            Err(_) => return Err(gone()),
        }
        // where nobody counts any more the queue is closed too
        let _ = took.send(());
    }
}

fn gone() -> Error {
    Error::failed("the upload ended unexpectedly")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc;

    /// Keeps what it is given; fails, or waits for `go`, at the first byte of a piece beyond `good`.
    struct Fake {
        kept: Arc<Mutex<Vec<u8>>>,
        good: usize,
        then: Option<mpsc::Receiver<()>>,
    }

    impl Write for Fake {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.kept.lock().unwrap().len() + bytes.len() > self.good {
                let waited = self.then.as_ref().map(mpsc::Receiver::recv);
                if !matches!(waited, Some(Ok(()))) {
                    return Err(Error::failed("disk full").into());
                }
            }
            self.kept.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Upload for Fake {
        fn commit(self: Box<Self>) -> Result<()> {
            self.kept.lock().unwrap().extend_from_slice(b"!");
            Ok(())
        }
    }

    type Kept = Arc<Mutex<Vec<u8>>>;

    fn fake(good: usize, then: Option<mpsc::Receiver<()>>) -> (Box<dyn Upload>, Kept) {
        let kept = Kept::default();
        let fake = Fake {
            kept: Arc::clone(&kept),
            good,
            then,
        };
        (Box::new(fake), kept)
    }

    fn send(fan: &mut Tee) -> io::Result<()> {
        (0..100u8).try_for_each(|piece| fan.write_all(&[piece; 10]))
    }

    #[test]
    fn every_upload_gets_every_byte_and_one_that_fails_leaves_the_others_alone() {
        let cancel = Cancel::new().unwrap();
        let ((a, kept_a), (b, kept_b), (c, kept_c)) =
            (fake(1000, None), fake(500, None), fake(1000, None));
        let mut fan = Tee::new(vec![a, b, c], STALLED, &cancel).unwrap();
        send(&mut fan).unwrap();
        let mut ended = fan.finish().unwrap().into_iter();
        ended.next().unwrap().unwrap().commit().unwrap();
        let error = ended.next().unwrap().err().unwrap();
        assert_eq!(error.to_string(), "disk full");
        ended.next().unwrap().unwrap().commit().unwrap();
        let whole: Vec<u8> = (0..100u8)
            .flat_map(|piece| [piece; 10])
            .chain(*b"!")
            .collect();
        assert_eq!(*kept_a.lock().unwrap(), whole);
        assert_eq!(*kept_c.lock().unwrap(), whole);
        assert_eq!(kept_b.lock().unwrap().len(), 500);
    }

    #[test]
    fn the_stream_ends_when_no_upload_is_left() {
        let cancel = Cancel::new().unwrap();
        let ((a, _), (b, _)) = (fake(30, None), fake(90, None));
        let mut fan = Tee::new(vec![a, b], STALLED, &cancel).unwrap();
        assert_eq!(send(&mut fan).unwrap_err().to_string(), "disk full");
    }

    #[test]
    fn an_upload_that_takes_nothing_is_given_up_and_never_committed() {
        let cancel = Cancel::new().unwrap();
        let (go, wait) = channel();
        let ((a, _), (b, kept_b)) = (fake(1000, None), fake(50, Some(wait)));
        let mut fan = Tee::new(vec![a, b], Duration::from_millis(1), &cancel).unwrap();
        send(&mut fan).unwrap();
        let mut ended = fan.finish().unwrap().into_iter();
        assert!(ended.next().unwrap().is_ok());
        assert!(ended.next().unwrap().is_err());
        drop(go);
        assert!(!kept_b.lock().unwrap().ends_with(b"!"));
    }

    #[test]
    fn a_cancelled_run_does_not_wait_for_a_slow_destination() {
        let cancel = Cancel::new().unwrap();
        let (go, wait) = channel();
        let (a, _) = fake(0, Some(wait));
        let mut fan = Tee::new(vec![a], STALLED, &cancel).unwrap();
        cancel.cancel(crate::cancel::Cause::Signal(15));
        let error = Error::from(send(&mut fan).unwrap_err());
        assert_eq!(error.kind(), Kind::Signal(15));
        // only its end is waited for
        drop(go);
    }

    #[test]
    fn an_unfinished_fan_is_gone_only_once_its_uploads_are() {
        let cancel = Cancel::new().unwrap();
        let ((a, kept_a), (b, kept_b)) = (fake(1000, None), fake(1000, None));
        let mut fan = Tee::new(vec![a, b], STALLED, &cancel).unwrap();
        send(&mut fan).unwrap();
        drop(fan);
        for kept in [kept_a, kept_b] {
            assert_eq!(Arc::strong_count(&kept), 1);
            assert!(!kept.lock().unwrap().ends_with(b"!"));
        }
    }
}
