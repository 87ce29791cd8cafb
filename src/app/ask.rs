//! Questions on the terminal: prompts go to stderr, answers come from stdin, and a signal ends the waiting.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::secret::Secret;
use crate::text::escape::{printable, printable_lines};
use rustix::event::PollFlags;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

/// No answer is longer.
const LONGEST: usize = 64 * 1024;

/// Someone who answers.
pub(super) struct Terminal {
    cancel: Cancel,
}

impl Terminal {
    /// `None` where nobody could answer.
    pub fn here(cancel: &Cancel) -> Option<Terminal> {
        let is_attended = io::stdin().is_terminal() && io::stderr().is_terminal();
        is_attended.then(|| Terminal {
            cancel: cancel.clone(),
        })
    }

    /// Writes a line.
    pub fn say(&self, text: &str) -> Result<()> {
        self.write(&format!("{}\n", printable_lines(text)))
    }

    /// Asks, and takes `usual` for an empty answer.
    pub fn ask(&self, question: &str, usual: &str) -> Result<String> {
        loop {
            match usual {
                "" => self.write(&format!("{question}: "))?,
                usual => self.write(&format!("{question} [{}]: ", printable(usual)))?,
            }
            let answer = self.line()?;
            let answer = answer.expose().trim();
            if answer.contains(char::is_control) {
                self.say(
                    "That holds a control character, as an arrow key makes one. Type it again.",
                )?;
                continue;
            }
            return Ok(if answer.is_empty() { usual } else { answer }.to_string());
        }
    }

    /// Asks until the answer passes `check`, and says why it does not.
    pub fn ask_checked(
        &self,
        question: &str,
        usual: &str,
        check: impl Fn(&str) -> Result<()>,
    ) -> Result<String> {
        loop {
            let answer = self.ask(question, usual)?;
            match check(&answer) {
                Ok(()) => return Ok(answer),
                Err(error) => self.say(&error.report())?,
            }
        }
    }

    /// Asks until the answer is a port.
    pub fn ask_port(&self, question: &str, usual: u16) -> Result<u16> {
        loop {
            match self.ask(question, &usual.to_string())?.parse() {
                Ok(port) if port > 0 => return Ok(port),
                _ => self.say("A port is a number from 1 to 65535.")?,
            }
        }
    }

    /// Asks until the answer is yes or no.
    pub fn ask_yes(&self, question: &str, usual: bool) -> Result<bool> {
        loop {
            let choice = if usual { "Y/n" } else { "y/N" };
            match self.ask(question, choice)?.to_lowercase().as_str() {
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                "y/n" => return Ok(usual),
                _ => self.say("Answer y or n.")?,
            }
        }
    }

    /// Asks for what nobody is to see: the answer is not shown, and its exact characters count.
    pub fn ask_secret(&self, question: &str) -> Result<Secret> {
        // before the question, which may be answered as soon as it is there
        let silent = Silent::new()?;
        self.write(&format!("{question}: "))?;
        let answer = self.line();
        drop(silent);
        self.write("\n")?;
        answer
    }

    fn write(&self, text: &str) -> Result<()> {
        let mut stderr = io::stderr().lock();
        stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush())
            .doing(|| "cannot ask")
    }

    /// One line without its end, read byte by byte so that what was typed ahead is left to the next question.
    fn line(&self) -> Result<Secret> {
        let stdin = io::stdin();
        let mut line = Vec::new();
        loop {
            self.cancel.wait_for(stdin.as_fd(), PollFlags::IN, None)?;
            let mut byte = [0];
            match rustix::io::read(&stdin, &mut byte) {
                Ok(0) => {
                    return Err(Error::usage("there is no answer, and nothing was changed"));
                }
                Ok(_) if byte[0] == b'\n' => break,
                Ok(_) if line.len() < LONGEST => line.push(byte[0]),
                Ok(_) => return Err(Error::usage("the answer is too long")),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno).doing(|| "cannot read the answer"),
            }
        }
        let text =
            String::from_utf8(line).map_err(|_| Error::usage("the answer is not UTF-8 text"))?;
        Ok(Secret::new(text))
    }
}

/// A terminal that shows nothing of what is typed, until dropped.
struct Silent {
    before: Termios,
}

impl Silent {
    fn new() -> Result<Silent> {
        let doing = || "cannot hide what is typed";
        let before = tcgetattr(io::stdin()).doing(doing)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &silent).doing(doing)?;
        Ok(Silent { before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
