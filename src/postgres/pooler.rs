//! Poolers that lend a session of the server for one transaction, such as pgbouncer with `pool_mode = transaction`.
//!
//! What pg_dump, pg_restore and SQL text set for their session stays in it, and the next to get it is the application,
//! which then finds an empty search path. So they work through no such pooler. One that lends a session for as long as its
//! client is there clears it up afterwards, and is as good as a server.

use super::client::Client;
use crate::error::{Doing, Error, Result};
use crate::process::ChildInput;
use rustix::event::PollFlags;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::ChildStdout;
use std::time::Duration;

/// The process that serves a session. Its number alone is not enough: there may be several servers behind one address.
const WHO: &str = "SELECT pid, backend_start FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()";

/// One request with the question, and so in its transaction.
const UNLIMITED: &str = "SET LOCAL statement_timeout = 0";

/// How often each of the two sessions is asked: a pooler that has much to do may change to another process only later.
const ROUNDS: usize = 4;

/// How long an answer may take. A pool of a single session has none for a second client.
const LIMIT: Duration = Duration::from_secs(15);

/// How long all of it may take.
const ALL: Duration = Duration::from_secs(120);

/// Longer than any answer.
const LONGEST: usize = 1024;

/// Refuses a pooler that would lend our session to others between two transactions. Without psql nothing is asked.
///
/// Of two sessions that are open at the same time none is served by the process of the other, and none changes its own.
pub fn require_own_session(client: &Client) -> Result<()> {
    if !client.is_available() {
        log::debug!("psql is not installed, so whether there is a pooler is not known");
        return Ok(());
    }
    let limited = client.within(ALL);
    let mut first = OpenSession::start(&limited)?;
    let mut second = Some(OpenSession::start(&limited)?);
    let (mut of_first, mut of_second) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        match first.served_by()? {
            Some(process) => of_first.push(process),
            None => {
                // its end tells why
                first.end()?;
                return Err(Error::failed("psql ended without an answer"));
            }
        }
        let answer = second.as_mut().map(OpenSession::served_by);
        match answer {
            Some(Ok(Some(process))) => of_second.push(process),
            // there may be no more connections: the first is alone with its process
            Some(Ok(None)) => second = None,
            Some(Err(error)) => {
                client.cancel().check()?;
                // it waits for the first one's
                log::debug!("there is no second session: {}", error.chain());
                second = None;
            }
            None => {}
        }
    }
    first.end()?;
    if let Some(second) = second {
        second.end()?;
    }
    let is_shared = of_second.iter().any(|process| of_first.contains(process));
    let changes = of_first.iter().any(|process| *process != of_first[0]);
    match is_shared || changes {
        false => Ok(()),
        true => Err(Error::refused(format!(
            "{} is a pooler that lends each session for one transaction, and settings that are left in it would reach the \
             application",
            client.shown()
        ))
        .hint(
            "connect to the server itself, or to a pool in session mode: connection.host and connection.port",
        )),
    }
}

/// A psql that stays until it is dropped.
struct OpenSession<'a> {
    client: &'a Client,
    input: ChildInput,
    output: ChildStdout,
}

impl<'a> OpenSession<'a> {
    fn start(client: &'a Client) -> Result<OpenSession<'a>> {
        let (input, output) = client.open()?;
        Ok(OpenSession {
            client,
            input,
            output,
        })
    }

    /// Lets psql come to its end, which is sooner than to stop it.
    fn end(self) -> Result<()> {
        self.input.finish().map(|_| ())
    }

    /// The process that serves it in a transaction of its own; `None` where psql has ended.
    fn served_by(&mut self) -> Result<Option<Vec<u8>>> {
        let limited = self.client.within(LIMIT);
        self.input
            .write_all(format!("{UNLIMITED}\\; {WHO};\n").as_bytes())?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n") {
            let output = self.output.as_fd();
            limited.cancel().wait_for(output, PollFlags::IN, None)?;
            let mut piece = [0; LONGEST];
            let count = self
                .output
                .read(&mut piece)
                .doing(|| "cannot read from psql")?;
            answer.extend_from_slice(&piece[..count]);
            if count == 0 {
                return Ok(None);
            }
            if answer.len() > LONGEST {
                return Err(Error::failed("psql printed too much"));
            }
        }
        Ok(Some(answer))
    }
}
