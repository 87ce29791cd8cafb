//! Each command, disturbed by strace in each kind of system call: killed, and told of errors. What was whole before has to
//! stay whole, what is reported as stored has to be there, the next run has to work, and nothing may hang, panic or tell a secret.
//!
//! `make test` tries a few of them, `make test-faults` a thousand.

pub mod plan;
pub mod stage;

use plan::{Injection, injections};
use stage::{COMMANDS, Stage};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread;

/// Tries `most` injections by this many workers, and fails with what did not hold.
pub fn run(most: usize, workers: usize) {
    let mut counts = Vec::new();
    let mut stages: Vec<Stage> = (0..workers).map(|_| Stage::new()).collect();
    for command in 0..COMMANDS {
        counts.push(stages[0].count(command));
    }
    let queue: Mutex<VecDeque<Injection>> = Mutex::new(injections(&counts, most).into());
    let asked = queue.lock().expect("nobody has it").len();
    let (hits, kills) = (Mutex::new(0), Mutex::new(0));
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for stage in &mut stages {
            scope.spawn(|| {
                while let Some(injection) = queue.lock().map_or(None, |mut queue| queue.pop_front())
                {
                    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        stage.try_one(&injection)
                    }));
                    match tried {
                        Ok(hit) => {
                            *hits.lock().expect("it is held for a moment") += usize::from(hit);
                            *kills.lock().expect("it is held for a moment") +=
                                usize::from(hit && injection.kills());
                        }
                        Err(_) => failures
                            .lock()
                            .expect("it is held for a moment")
                            .push(injection),
                    }
                }
            });
        }
    });
    let (hits, kills) = (
        hits.into_inner().unwrap_or(0),
        kills.into_inner().unwrap_or(0),
    );
    let failures = failures.into_inner().unwrap_or_default();
    println!(
        "{asked} injections, {hits} came to pass, {kills} of them kills; {} did not hold",
        failures.len()
    );
    assert!(failures.is_empty(), "{failures:#?}");
    // a thread is not in every run at the same call
    assert!(
        hits * 10 >= asked * 7,
        "only {hits} of {asked} came to pass"
    );
}
