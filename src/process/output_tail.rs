//! The end of what a child prints, kept for the message about its failure.

use super::hang_up::{hung_up, watch_end};
use crate::error::{Doing, Result};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long we wait for the rest of a dead child's stderr; a grandchild may hold it open for good.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How much of what a child prints is kept, its end.
const KEPT: usize = 16 * 1024;
/// How much of one line is kept, its beginning: behind its complaint a client prints the whole statement.
const KEPT_OF_LINE: usize = 2048;

/// The end of what a child prints on one of its outputs, read by a thread.
pub(super) struct Tail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    /// Hangs up once the output has been read to its end.
    read: OwnedFd,
}

impl Tail {
    /// Starts reading `stream` to its end, keeping only the last [`KEPT`] bytes. With `logged`, its lines go to the log.
    pub(super) fn keep(
        program: &str,
        stream: Option<impl Read + Send + 'static>,
        logged: bool,
    ) -> Result<Tail> {
        let (read, guard) = watch_end(program)?;
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (name, into) = (program.to_string(), Arc::clone(&kept));
        std::thread::Builder::new()
            .name(format!("{program} output"))
            .spawn(move || {
                if let Some(stream) = stream {
                    keep_tail(&name, stream, &into, logged);
                }
                drop(guard);
            })
            .doing(|| format!("cannot watch {program}"))?;
        Ok(Tail { kept, read })
    }

    /// What was kept, once all has been read or [`LAST_WORDS`] is over.
    pub(super) fn text(&self) -> String {
        hung_up(&self.read, LAST_WORDS);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }
}

fn keep_tail(program: &str, mut stream: impl Read, kept: &Mutex<VecDeque<u8>>, logged: bool) {
    let mut buffer = [0u8; 4096];
    let (mut line, mut cut) = (Vec::new(), false);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                for piece in buffer[..count].split_inclusive(|&byte| byte == b'\n') {
                    let ended = piece.ends_with(b"\n");
                    let text = piece.strip_suffix(b"\n").unwrap_or(piece);
                    let room = KEPT_OF_LINE.saturating_sub(line.len());
                    let more = &text[..text.len().min(room)];
                    line.extend_from_slice(more);
                    kept.extend(more);
                    if text.len() > room && !cut {
                        cut = true;
                        kept.extend(" …".as_bytes());
                    }
                    if ended {
                        kept.push_back(b'\n');
                        let text = String::from_utf8_lossy(&line);
                        if logged && !text.trim().is_empty() {
                            log::debug!("{program}: {}", text.trim_end());
                        }
                        line.clear();
                        cut = false;
                    }
                }
                let excess = kept.len().saturating_sub(KEPT);
                kept.drain(..excess);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_not_lost_behind_the_statement_that_it_is_about() {
        let kept = Mutex::new(VecDeque::new());
        let statement = "x".repeat(10 * KEPT);
        let said = format!("ERROR:  out of shared memory\nQuery was: {statement}\nlast");
        keep_tail("pg_dump", said.as_bytes(), &kept, false);
        let kept: Vec<u8> = kept.into_inner().unwrap().into();
        let lines = String::from_utf8(kept).unwrap();
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(
            (lines[0], lines[2]),
            ("ERROR:  out of shared memory", "last")
        );
        assert!(lines[1].len() < KEPT && lines[1].ends_with("xxx …"));

        let kept = Mutex::new(VecDeque::new());
        let many = "line\n".repeat(KEPT);
        keep_tail("pg_dump", many.as_bytes(), &kept, false);
        assert_eq!(kept.into_inner().unwrap().len(), KEPT);
    }
}
