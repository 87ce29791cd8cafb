//! Our reading of SQL text against psql's own: whatever a psql takes for one of its commands, we refuse before it.
//!
//! The server of these tests takes every statement for good, so that psql goes on whatever the text is. It is no
//! PostgreSQL, which would stop most of these texts at once and leave nothing to compare.

use super::{House, PLAIN, sql_of};
use crate::support::postgres::{MAJORS, bin};
use crate::support::program;
use backupkit::error::Kind;
use backupkit::postgres::sql_text::SqlText;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

/// Texts for each version of psql; more with BACKUPKIT_TEXTS.
const TEXTS: u64 = 60;

/// psql prints it where it takes that line for a command.
const COMMAND: &str = "\\echo SEEN\n";

/// What texts are made of: all that opens or closes something for psql, and the command.
const FRAGMENTS: [&str; 73] = [
    COMMAND,
    COMMAND,
    COMMAND,
    COMMAND,
    "'",
    "''",
    "\"",
    "$$",
    "$a$",
    "$b$",
    "$",
    "E'",
    "e'",
    "U&'",
    "u&\"",
    "B'",
    "x'",
    "N'",
    "\\'",
    "\\\\",
    "\\",
    "--",
    "/*",
    "*/",
    "-",
    "/",
    "*",
    "(",
    ")",
    ";",
    ";\n",
    "\n",
    "\n",
    " ",
    "\t",
    "::",
    ":x",
    ":'x'",
    ":\"x\"",
    ":",
    "a[1:2]",
    "1",
    "1e",
    "1.5",
    "$1",
    "a",
    "a$$",
    "_x$y",
    "é",
    "\u{feff}",
    "\r\n",
    "\\.\n",
    "\\N\n",
    "row\n",
    "COPY t FROM stdin;\n",
    "copy t (a) from STDIN ;\n",
    "COPY t FROM stdin; ",
    "COPY (SELECT 1 FROM stdin) TO STDOUT;\n",
    "COPY t FROM stdin\n;\n",
    "COPY t -- from\nFROM /* ' */ stdin;\n",
    "SELECT ",
    "select 'it''s'",
    "CREATE FUNCTION f() ",
    "create or replace procedure p() ",
    "BEGIN ",
    " ATOMIC\n",
    "CASE ",
    "END",
    "SET standard_conforming_strings = off;\n",
    "SET standard_conforming_strings TO on;\n",
    "SET client_encoding = 'SJIS';\n",
    "set names 'gb18030';\n",
    "SET client_encoding = 'UTF8';\n",
];

/// Bytes with which characters of several begin.
const LEADS: [&[u8]; 4] = [b"\x81", b"\x81\\", b"\x81'", b"\x8130"];

#[test]
fn what_psql_takes_for_a_command_is_refused() {
    let rounds = std::env::var("BACKUPKIT_TEXTS").ok();
    let rounds = rounds.map_or(TEXTS, |rounds| rounds.parse().expect("a number"));
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..rounds {
        for major in MAJORS {
            let text = numbers.text();
            let is_taken = is_taken_for_a_command(major, &text);
            let is_refused = is_refused(&text);
            assert!(
                is_refused || !is_taken,
                "psql {major} takes a command out of what we pass on: {:?}",
                String::from_utf8_lossy(&text)
            );
            taken += u64::from(is_taken);
            refused += u64::from(is_refused);
        }
    }
    // the texts try both, and we do not refuse them all
    let all = rounds * MAJORS.len() as u64;
    assert!(
        taken > all / 20 && refused < all,
        "{taken} and {refused} of {all}"
    );
}

#[test]
fn each_way_to_hide_a_command_from_us_is_known() {
    for text in [
        "SELECT 1; \\echo SEEN\n",
        "SELECT 1 \\g |echo SEEN\n",
        "-- a comment\r\\echo SEEN\n",
        "COPY t FROM stdin;\nrow\n\\.\n\\echo SEEN\n",
        "COPY t FROM stdin; SELECT '\nrow\n\\.\n'; \\echo SEEN\n",
        "COPY (SELECT 1 FROM stdin) TO STDOUT;\n\\echo SEEN\n",
        "CREATE FUNCTION f() RETURNS void BEGIN ATOMIC SELECT 1; COPY t FROM stdin;\n\\echo SEEN\n\\.\nEND;\n",
        "(; COPY t FROM stdin;\n\\echo SEEN\n",
        "SET standard_conforming_strings = off;\nSELECT '\\'';\n\\echo SEEN\n-- '\n",
        "SELECT set_config('standard_conforming_strings',\n'off', false);\nSELECT '\\'';\n\\echo SEEN\n-- '\n",
        "SET client_encoding = 'SJIS';\nSELECT '\u{81}' \\echo SEEN\n",
        "SELECT E'a'\n'b\\'\\echo SEEN\n",
        "SELECT a$$; \\echo SEEN\n$$;\n",
        "SELECT $a$ $b$ $a$ \\echo SEEN\n",
        "/* /* */ */ \\echo SEEN\n",
        "\\if true\n\\echo SEEN\n\\endif\n",
        "\\unrestrict `echo SEEN`\n",
    ] {
        // as one byte, and not as two of UTF-8
        let text: Vec<u8> = text.chars().map(|char| char as u8).collect();
        assert!(is_refused(&text), "{:?}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn every_variable_that_psql_sets_by_itself_is_known() {
    for major in MAJORS {
        let listed = psql(major, b"\\set\n");
        let names = listed.lines().filter_map(|line| line.split_once(" = "));
        let names: Vec<&str> = names.map(|(name, _)| name).collect();
        assert!(names.contains(&"VERSION"), "{listed}");
        for name in names {
            for text in [format!("SELECT :{name};"), format!("SELECT :'{name}';")] {
                assert!(
                    is_refused(text.as_bytes()),
                    "psql {major} has a value: {text}"
                );
            }
        }
    }
}

#[test]
fn what_pg_dump_writes_is_passed_on_but_for_its_own_commands() {
    for major in MAJORS {
        let house = House::on(PLAIN, major);
        let everything = house.source.server.everything();
        let script = sql_of(&everything);
        for size in [1, 7, 4096, script.len()] {
            let mut text = SqlText::new("key", false, false);
            let mut passed = Vec::new();
            for piece in script.chunks(size) {
                passed.extend(text.pass(piece).expect("it is passed on"));
            }
            passed.extend(text.end().expect("it ends"));
            let lines = script.split_inclusive(|byte| *byte == b'\n').map(|line| {
                let is_command =
                    line.starts_with(b"\\restrict ") || line.starts_with(b"\\unrestrict ");
                if is_command { &b"\n"[..] } else { line }
            });
            assert!(
                passed == lines.collect::<Vec<_>>().concat(),
                "{major}, pieces of {size}"
            );
        }
    }
}

/// Whole, and in pieces, to the same end.
#[track_caller]
fn is_refused(text: &[u8]) -> bool {
    let in_pieces = |size: usize| {
        let mut read = SqlText::new("key", false, false);
        let mut pieces = text.chunks(size).map(|piece| read.pass(piece));
        let passed = pieces.find_map(Result::err);
        // text that psql would wait for more of is cut, whatever is in it
        passed.or_else(|| {
            read.end()
                .err()
                .filter(|error| error.kind() != Kind::Damaged)
        })
    };
    let refusals = [1, 3, text.len().max(1)].map(in_pieces);
    let kinds = refusals
        .each_ref()
        .map(|error| error.as_ref().map(|error| error.kind()));
    assert!(
        kinds == [kinds[0]; 3],
        "{kinds:?}: {:?}",
        String::from_utf8_lossy(text)
    );
    assert!(
        kinds[0].is_none_or(|kind| kind == Kind::Refused),
        "{kinds:?}"
    );
    kinds[0].is_some()
}

fn is_taken_for_a_command(major: u32, text: &[u8]) -> bool {
    psql(major, text).contains("SEEN")
}

/// What psql prints that runs `text`.
fn psql(major: u32, text: &[u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("an address").port();
    let server =
        std::thread::spawn(move || listener.accept().and_then(|(stream, _)| serve(stream)));
    let mut command = Command::new(bin(major).join("psql"));
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("PGSSLMODE", "disable")
        .env("PGGSSENCMODE", "disable")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=0", "--file=-"])
        .arg(format!("host=127.0.0.1 port={port} user=x dbname=x"));
    let output = program::run(command, text);
    // psql may have gone in the middle
    let _ = server.join().expect("the server ends");
    format!("{}{}", output.text(), output.stderr)
}

/// Takes every statement; COPY of the words that a real server takes asks for rows.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut start = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut start)?;
    let mut greeting = message(b'R', &[0; 4]);
    for (name, value) in [
        ("server_version", "18.0"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
    ] {
        greeting.extend(parameter(name, value));
    }
    greeting.extend(message(b'K', &[0; 8]));
    greeting.extend(message(b'Z', b"I"));
    stream.write_all(&greeting)?;
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = vec![0; length as usize - 4];
        stream.read_exact(&mut body)?;
        let answer = match head[0] {
            b'X' => return Ok(()),
            b'Q' => answer(body.strip_suffix(b"\0").unwrap_or(&body)),
            b'c' | b'f' => done(),
            _ => continue,
        };
        stream.write_all(&answer)?;
    }
}

fn answer(statement: &[u8]) -> Vec<u8> {
    let text = without_comments(statement);
    let words: Vec<&str> = text
        .split(|char: char| !char.is_ascii_alphanumeric() && char != '_')
        .collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let plain = text
        .chars()
        .all(|char| char.is_ascii_alphanumeric() || "_ \t\n();".contains(char));
    match words[..] {
        ["copy", "t", "from", "stdin"] | ["copy", "t", "a", "from", "stdin"] if plain => {
            message(b'G', &[0, 0, 0])
        }
        [
            "set",
            "standard_conforming_strings",
            ..,
            value @ ("on" | "off"),
        ] => [parameter("standard_conforming_strings", value), done()].concat(),
        ["set", "client_encoding" | "names", .., value] => {
            [parameter("client_encoding", &value.to_uppercase()), done()].concat()
        }
        _ => done(),
    }
}

fn without_comments(statement: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(statement).to_lowercase();
    while let Some(start) = text.find("--") {
        let end = text[start..]
            .find('\n')
            .map_or(text.len(), |end| start + end);
        text.replace_range(start..end, " ");
    }
    while let Some(start) = text.find("/*") {
        let end = text[start..]
            .find("*/")
            .map_or(text.len(), |end| start + end + 2);
        text.replace_range(start..end, " ");
    }
    text
}

fn done() -> Vec<u8> {
    [message(b'C', b"SET\0"), message(b'Z', b"I")].concat()
}

fn parameter(name: &str, value: &str) -> Vec<u8> {
    message(b'S', format!("{name}\0{value}\0").as_bytes())
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len() as u32 + 4;
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn text(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        for _ in 0..4 + self.below(14) {
            match self.below(12) {
                0 => text.extend_from_slice(LEADS[self.below(LEADS.len())]),
                _ => text.extend_from_slice(FRAGMENTS[self.below(FRAGMENTS.len())].as_bytes()),
            }
        }
        text
    }
}
