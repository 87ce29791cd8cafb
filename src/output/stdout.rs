//! Stdout itself: a line, a text, or a stream as large as a dump.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::logging::is_coloured;
use crate::text::escape::{printable_json, printable_text};
use rustix::event::PollFlags;
use rustix::fs::OFlags;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

/// Writes one line. Someone who has stopped reading is not an error, and does not stop a backup.
pub fn line(text: &str) -> Result<()> {
    text_out(&format!("{text}\n"))
}

/// Writes text of lines and columns, whose names are made printable where they become part of it.
pub fn text_out(text: &str) -> Result<()> {
    as_it_is(&printable_text(text))
}

/// Writes what has been made printable already, and may have colours.
pub fn shown(text: &str) -> Result<()> {
    as_it_is(text)
}

/// Writes a word in a colour, where stdout shows colours, and the rest of its line.
pub fn coloured(colour: &str, word: &str, rest: &str) -> Result<()> {
    let rest = printable_text(rest);
    match is_coloured(&io::stdout()) {
        true => as_it_is(&format!("\x1b[{colour}m{word}\x1b[0m{rest}\n")),
        false => as_it_is(&format!("{word}{rest}\n")),
    }
}

/// Writes a line of JSON.
pub fn json(document: &Value) -> Result<()> {
    as_it_is(&format!("{}\n", printable_json(&document.to_string())))
}

fn as_it_is(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.doing(|| "cannot write to stdout"),
    }
}

/// Stdout for a large stream: every write ends with the run, and knows whether anybody still reads.
pub struct Stdout {
    file: File,
    /// A pipe of our own making to the same readers, which never blocks.
    pipe: bool,
    closed: bool,
    cancel: Cancel,
}

impl Stdout {
    /// Opens a pipe on stdout again, so that it can be made not to block without a change for others who share it.
    pub fn new(cancel: &Cancel) -> Result<Stdout> {
        let doing = || "cannot write to stdout";
        let shared = File::from(io::stdout().as_fd().try_clone_to_owned().doing(doing)?);
        let is_pipe = shared.metadata().doing(doing)?.file_type().is_fifo();
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open("/proc/self/fd/1");
        let (file, pipe) = match opened {
            Ok(opened) if is_pipe => (opened, true),
            _ => (shared, false),
        };
        Ok(Stdout {
            file,
            pipe,
            closed: false,
            cancel: cancel.clone(),
        })
    }

    /// True once nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            if self.pipe {
                self.cancel
                    .wait_for(self.file.as_fd(), PollFlags::OUT, None)?;
            }
            match self.file.write(bytes) {
                Err(error) if self.pipe && error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    self.closed = true;
                    return Err(error);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    return Err(Error::from(error).doing("cannot write to stdout").into());
                }
                Ok(count) => return Ok(count),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
