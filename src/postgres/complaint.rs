//! The line of a program's messages that complains: who speaks, and what is said.
//!
//! What stands around it is taken off: the name of the program, and what it says that it was doing.

use crate::process::Ended;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// The server, in an `ERROR`.
    Statement,
    /// The server, as it ends or refuses a session: `FATAL` or `PANIC`.
    Connection,
    /// The program or libpq, for no server is in the message.
    Program,
}

/// A complaint: who speaks, and the one line that is said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint<'a> {
    pub speaker: Speaker,
    pub text: &'a str,
}

use Speaker::{Connection, Program, Statement};

/// Levels of messages that are no failure.
const REMARKS: [&str; 7] = [
    "NOTICE:  ",
    "WARNING:  ",
    PASSFILE,
    "INFO:  ",
    "LOG:  ",
    "DEBUG:  ",
    "warning: ",
];
/// What libpq says of a password file that it does not read, in front of what follows from that.
const PASSFILE: &str = "WARNING: password file \"";
const CRASH: &str = "WARNING:  terminating connection because of crash of another server process";

/// The first line that complains, without the name of the program.
pub(super) fn first_complaint(ended: &Ended) -> Option<&str> {
    let mut named = false;
    for line in ended.stderr.lines() {
        let text = match without_program(ended, line) {
            Some(text) => {
                named = true;
                text
            }
            // the lines behind one with a name go on with what that one quotes
            None if named => continue,
            None => line,
        };
        if text.starts_with(CRASH) {
            return text.strip_prefix("WARNING:  ");
        }
        let is_remark = REMARKS.iter().any(|remark| text.starts_with(remark));
        // what it says about the rows of a table comes in another line
        let more = text.starts_with("Dumping the contents of table \"");
        if !text.is_empty() && !is_remark && !more {
            return Some(text);
        }
    }
    None
}

/// What a line says behind the name of the program, nothing where it has no such beginning; empty where it is no
/// complaint, such as what pg_restore is at, which is an object's name.
pub(super) fn without_program<'a>(ended: &Ended, line: &'a str) -> Option<&'a str> {
    let rest = line.strip_prefix(&*ended.program)?.strip_prefix(':')?;
    if let Some(numbered) = rest.strip_prefix("<stdin>:") {
        let text = numbered.trim_start_matches(|digit: char| digit.is_ascii_digit());
        let text = text.strip_prefix(": ")?;
        return Some(text.strip_prefix("error: ").unwrap_or(text));
    }
    let rest = rest.strip_prefix(' ')?;
    let complaint = ["error: ", "fatal: ", "detail: Error message from server: "]
        .iter()
        .find_map(|level| rest.strip_prefix(level));
    Some(complaint.unwrap_or(""))
}

/// What libpq says of a password file that it does not read because others may.
pub(super) fn open_passfile(ended: &Ended) -> Option<&str> {
    let mut lines = ended.stderr.lines();
    lines.find(|line| line.starts_with(PASSFILE) && line.contains(" has group or world access"))
}

/// True for a line about a connection that did not come about.
pub(super) fn is_about_connecting(line: &str) -> bool {
    line.starts_with("connection to server ")
}

/// Takes off what the program says it was doing.
pub(super) fn read(line: &str) -> Complaint<'_> {
    const DOING: [&str; 6] = [
        "could not execute query: ",
        "query failed: ",
        "error returned by PQputCopyData: ",
        "error returned by PQputCopyEnd: ",
        "Error message from server: ",
        "could not connect to server: ",
    ];
    let mut text = line;
    // a name stands between quotes, and may hold anything but the end of what follows it
    for (begin, end) in [
        ("COPY failed for table \"", "\": "),
        ("could not open large object ", ": "),
        ("error reading large object ", ": "),
        ("connection to server ", " failed: "),
        ("connection to database \"", "\" failed: "),
    ] {
        if let Some((_, said)) = text
            .strip_prefix(begin)
            .and_then(|rest| rest.split_once(end))
        {
            text = said;
        }
    }
    for doing in DOING {
        text = text.strip_prefix(doing).unwrap_or(text);
    }
    let levels = [
        ("ERROR:  ", Statement),
        ("FATAL:  ", Connection),
        ("PANIC:  ", Connection),
    ];
    let said = levels
        .iter()
        .find_map(|(level, speaker)| Some((text.strip_prefix(level)?, *speaker)));
    match said {
        Some((text, speaker)) => Complaint { speaker, text },
        // the warning of a crash comes without its level
        None if text.starts_with("terminating connection because of crash") => Complaint {
            speaker: Connection,
            text,
        },
        None => Complaint {
            speaker: Program,
            text,
        },
    }
}
