//! Who holds what we wait for, and an end to waiting.
//!
//! pg_dump has `--lock-wait-timeout`. pg_restore has nothing of the kind and sets `lock_timeout = 0` itself,
//! so a restore is watched from a second session.

use super::client::Client;
use crate::cancel::Cause;
use crate::error::{Doing, Result};
use crate::text::escape::printable;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the server is asked.
const INTERVAL: Duration = Duration::from_secs(2);

/// How a session looks in a message. Its query is left out: it may hold a password.
const WHO: &str = "CASE WHEN b.pid IS NULL THEN 'a prepared transaction (see pg_prepared_xacts)' \
     ELSE format('process %s (user %s, application \"%s\", %s since %s)', b.pid, b.usename, b.application_name, \
     coalesce(b.state, 'in a state that this role may not see'), \
     coalesce(to_char(b.state_change, 'YYYY-MM-DD HH24:MI:SS TZ'), 'an unknown time')) END";

/// The sessions that hold a table of this database against everyone, which is what pg_dump waits for.
pub fn holders(client: &Client) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT DISTINCT {WHO} FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity b ON b.pid = l.pid \
         WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND l.locktype = 'relation' \
         AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
         AND l.pid IS DISTINCT FROM pg_backend_pid() LIMIT 5"
    );
    Ok(first_column(client.query(&sql)?))
}

/// The sessions that block those of the application of `client`.
fn blockers(client: &Client) -> Result<Vec<String>> {
    let application = client.application();
    // our own, made of letters, digits, spaces and dashes
    let sql = format!(
        "SELECT DISTINCT {WHO} FROM pg_catalog.pg_stat_activity a, unnest(pg_catalog.pg_blocking_pids(a.pid)) p(pid) \
         LEFT JOIN pg_catalog.pg_stat_activity b ON b.pid = p.pid \
         WHERE a.application_name = '{application}' AND a.datname = current_database() LIMIT 5"
    );
    Ok(first_column(client.query(&sql)?))
}

fn first_column(rows: Vec<Vec<String>>) -> Vec<String> {
    rows.into_iter()
        .filter_map(|row| row.into_iter().next())
        .collect()
}

/// Watches the sessions of one application until dropped.
pub struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Says once for each wait who is in the way of the sessions that are called like `client`; and cancels its token,
    /// naming them, once they have waited `limit` for a lock, where there is one.
    pub fn start(client: Client, limit: Option<Duration>) -> Result<Watch> {
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::Builder::new()
            .name("lock watch".into())
            .spawn(move || {
                let mut since: Option<Instant> = None;
                while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    let found = match blockers(&client) {
                        Ok(found) => found,
                        Err(error) => {
                            log::debug!("cannot ask who holds locks: {}", error.chain());
                            continue;
                        }
                    };
                    if found.is_empty() {
                        since = None;
                        continue;
                    }
                    let who = printable(&found.join("; "));
                    let waited = match since {
                        Some(since) => since.elapsed(),
                        None => {
                            log::warn!("waiting for a lock held by {who}");
                            since = Some(Instant::now());
                            Duration::ZERO
                        }
                    };
                    if let Some(limit) = limit.filter(|limit| waited >= *limit) {
                        client.cancel().cancel(Cause::Stalled(format!(
                            "stopped after waiting {limit:?} for a lock held by {who}"
                        )));
                        return;
                    }
                }
            })
            .doing(|| "cannot start watching locks")?;
        Ok(Watch {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
