//! The WAL that a base backup needs, as a tar of whole segments, written while the server sends it.
//!
//! It begins with the segment that the backup starts in and ends with the one that it stops in, whose rest is zeros as in a
//! segment that the server has just begun. Where it stops is known only when the backup has ended.

use super::tar_header;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::postgres::replication::{Lsn, WalStream};
use crate::postgres::wal_file::SegmentName;
use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often it looks whether the end is known by now.
const LOOK: Duration = Duration::from_millis(200);
/// How long the server may send nothing of what is left.
const SILENCE: Duration = Duration::from_secs(300);
/// Two blocks of zeros end a tar.
const END: usize = 1024;
/// The rest of a segment is made so many bytes at a time.
const ZEROS: u64 = 1 << 20;

/// Where the WAL of a backup ends, once that is known.
#[derive(Debug, Default)]
pub struct WalEnd(AtomicU64);

impl WalEnd {
    const ABANDONED: u64 = u64::MAX;

    /// The backup stops at `lsn`.
    pub fn set(&self, lsn: Lsn) {
        self.0.store(lsn.0, Ordering::Release);
    }

    /// There will be no backup. What is known stays known.
    pub fn abandon(&self) {
        let (from, to) = (0, WalEnd::ABANDONED);
        // it fails where the end is known by now
        let _ = self
            .0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    fn get(&self) -> Result<Option<Lsn>> {
        match self.0.load(Ordering::Acquire) {
            0 => Ok(None),
            WalEnd::ABANDONED => Err(Error::failed("the base backup has failed")),
            lsn => Ok(Some(Lsn(lsn))),
        }
    }
}

/// What sends WAL in order.
pub trait WalSource {
    /// The next piece and where it begins; `None` where nothing came within `patience`.
    fn next(&mut self, patience: Duration) -> Result<Option<(Lsn, Vec<u8>)>>;

    /// All before `lsn` is read and wanted no more.
    fn confirm(&mut self, lsn: Lsn);

    /// No more is wanted.
    fn end(&mut self);
}

impl WalSource for WalStream {
    fn next(&mut self, patience: Duration) -> Result<Option<(Lsn, Vec<u8>)>> {
        WalStream::next(self, patience)
    }

    fn confirm(&mut self, lsn: Lsn) {
        WalStream::confirm(self, lsn);
    }

    fn end(&mut self) {
        WalStream::end(self);
    }
}

/// The tar, to be read.
pub struct WalTar<'a, S> {
    source: S,
    timeline: u32,
    segment_size: u64,
    /// What has been handed on of the WAL.
    at: Lsn,
    end: &'a WalEnd,
    ready: Vec<u8>,
    taken: usize,
    state: TarState,
    /// When something came last.
    moved: Instant,
    cancel: Cancel,
}

#[derive(PartialEq, Eq)]
enum TarState {
    /// The header of the next segment comes next.
    Between,
    Within,
    Ended,
}

impl<'a, S: WalSource> WalTar<'a, S> {
    /// The WAL of `timeline` that `source` sends, from `start` on, which is where a segment begins.
    pub fn new(
        source: S,
        timeline: u32,
        segment_size: u64,
        start: Lsn,
        end: &'a WalEnd,
        cancel: &Cancel,
    ) -> WalTar<'a, S> {
        WalTar {
            source,
            timeline,
            segment_size,
            at: start,
            end,
            ready: Vec::new(),
            taken: 0,
            state: TarState::Between,
            moved: Instant::now(),
            cancel: cancel.clone(),
        }
    }

    /// Has something ready, or is at the end.
    fn fill(&mut self) -> Result<()> {
        self.ready.clear();
        self.taken = 0;
        while self.ready.is_empty() && self.state != TarState::Ended {
            self.cancel.check()?;
            let reached = self.end.get()?.is_some_and(|end| self.at >= end);
            match (&self.state, reached) {
                (TarState::Between, true) => {
                    self.source.end();
                    self.ready.resize(END, 0);
                    self.state = TarState::Ended;
                }
                (TarState::Within, true) => self.pad(),
                _ => {
                    if let Some((lsn, bytes)) = self.source.next(LOOK)? {
                        self.add(lsn, &bytes)?;
                        self.source.confirm(self.at);
                        self.moved = Instant::now();
                    } else if self.end.get()?.is_some() && self.moved.elapsed() > SILENCE {
                        // an idle server sends nothing, but what is left is written by now
                        return Err(Error::new(
                            Kind::Unavailable,
                            format!("the server sends no WAL beyond {}", self.at),
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, lsn: Lsn, mut bytes: &[u8]) -> Result<()> {
        if lsn != self.at {
            return Err(Error::failed(format!(
                "the server sent WAL from {lsn} on where {} was due",
                self.at
            )));
        }
        while !bytes.is_empty() {
            if self.state == TarState::Between {
                self.begin_segment();
            }
            let left = self.segment_size - self.at.0 % self.segment_size;
            let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let (own, rest) = bytes.split_at(count);
            self.ready.extend_from_slice(own);
            self.advance(count as u64);
            bytes = rest;
        }
        Ok(())
    }

    fn begin_segment(&mut self) {
        let name = SegmentName::of(self.timeline, self.at, self.segment_size).to_string();
        self.ready
            .extend_from_slice(&tar_header::of_file(&name, self.segment_size));
        self.state = TarState::Within;
    }

    /// A segment is a whole number of blocks of the tar, so that nothing stands between two.
    fn advance(&mut self, count: u64) {
        self.at = Lsn(self.at.0 + count);
        if self.at.0.is_multiple_of(self.segment_size) {
            self.state = TarState::Between;
        }
    }

    fn pad(&mut self) {
        let left = self.segment_size - self.at.0 % self.segment_size;
        let count = left.min(ZEROS);
        self.ready.resize(count as usize, 0);
        self.advance(count);
    }
}

impl<S: WalSource> BufRead for WalTar<'_, S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.ready.len() {
            self.fill()?;
        }
        Ok(&self.ready[self.taken..])
    }

    fn consume(&mut self, count: usize) {
        self.taken += count;
    }
}

impl<S: WalSource> Read for WalTar<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
