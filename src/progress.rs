//! What stderr shows while a run lasts: one live line on a terminal, else a line a minute.
//!
//! Everything of ours that goes to stderr goes through [`say`], which takes the live line away first and puts
//! it back after, so that messages and progress never mix.

use crate::text::escape::{printable, printable_lines};
use crate::text::human::human_bytes;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const REDRAW: Duration = Duration::from_millis(200);
const LINE: Duration = Duration::from_secs(60);
const ERASE: &str = "\r\x1b[2K";

/// The live line as it stands on the terminal now.
static LIVE: Mutex<String> = Mutex::new(String::new());

/// Writes `text` and a newline to stderr, above the live line if there is one. `lead` is ours and comes first; it may have
/// a colour.
pub fn say(lead: &str, text: &str) {
    say_as_it_is(&format!("{lead}{}", printable_lines(text)));
}

/// The same for what has been made printable.
pub fn say_as_it_is(text: &str) {
    let live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stderr = std::io::stderr().lock();
    // a closed stderr has nobody to tell
    let _ = match live.as_str() {
        "" => writeln!(stderr, "{text}"),
        live => write!(stderr, "{ERASE}{text}\n{live}"),
    };
}

fn show(line: String) {
    let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    if live.is_empty() && line.is_empty() {
        return;
    }
    let mut stderr = std::io::stderr().lock();
    // a line that wraps could not be taken back
    let width = rustix::termios::tcgetwinsize(&stderr).map_or(80, |size| size.ws_col);
    let room = usize::from(width).saturating_sub(1);
    let line: String = line.chars().take(room).collect();
    let _ = write!(stderr, "{ERASE}{line}");
    let _ = stderr.flush();
    *live = line;
}

/// Bytes that passed, counted by the streams and read by what shows them.
#[derive(Debug, Default)]
pub struct Meter {
    plain: AtomicU64,
    stored: AtomicU64,
}

impl Meter {
    /// Adds to the plain bytes, those of the database.
    pub fn add_plain(&self, bytes: usize) {
        self.plain.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Adds to the stored bytes, those of the archive.
    pub fn add_stored(&self, bytes: usize) {
        self.stored.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Plain and stored bytes so far.
    pub fn read(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.plain), load(&self.stored))
    }
}

/// Shows a run's progress until dropped.
pub struct Progress {
    what: Arc<Mutex<String>>,
    meter: Arc<Meter>,
    ticker: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins to show `what`, such as `backing up app_db`.
    pub fn start(what: &str) -> Progress {
        let meter = Arc::new(Meter::default());
        let (stop, stopped) = channel::<()>();
        let live = std::io::stderr().is_terminal();
        // where only warnings are wanted, this is none
        let wanted = log::max_level() >= log::LevelFilter::Info;
        let what = Arc::new(Mutex::new(what.to_string()));
        let (named, shown) = (Arc::clone(&what), Arc::clone(&meter));
        let began = Instant::now();
        let ticking = std::thread::Builder::new().name("progress".into());
        let thread = wanted.then(|| {
            ticking.spawn(move || {
                let every = if live { REDRAW } else { LINE };
                while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                    let what = named.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let line = line(&what, &shown, began.elapsed());
                    if live { show(line) } else { say("", &line) }
                }
                show(String::new());
            })
        });
        let thread = thread.and_then(|started| started.ok());
        Progress {
            what,
            meter,
            // a run without a progress line is still a run
            ticker: thread.map(|thread| (stop, thread)),
        }
    }

    /// Shows `what` from now on.
    pub fn now(&self, what: &str) {
        *self.what.lock().unwrap_or_else(PoisonError::into_inner) = what.to_string();
    }

    /// The counters to feed.
    pub fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.ticker.take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

fn line(what: &str, meter: &Meter, elapsed: Duration) -> String {
    let (plain, stored) = meter.read();
    let rate = (plain as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
    let seconds = elapsed.as_secs();
    let clock = match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    };
    let what = printable(what);
    format!(
        "{what}  {} plain  {} stored  {}/s  {clock}",
        human_bytes(plain),
        human_bytes(stored),
        human_bytes(rate)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_in_and_out_and_how_fast() {
        let meter = Meter::default();
        meter.add_plain(10 << 20);
        meter.add_stored(3 << 20);
        assert_eq!(
            line("backing up app", &meter, Duration::from_secs(65)),
            "backing up app  10.0 MiB plain  3.0 MiB stored  157.5 KiB/s  1:05"
        );
    }
}
