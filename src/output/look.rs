//! How results look: fields with tabs between and bytes by the digit where a program reads them, or sizes, colours and lines
//! that fit, where a person does.

use crate::logging::is_coloured;
use crate::text::escape::printable;
use crate::text::fill::filled;
use crate::text::human::human_bytes;
use crate::text::table::{fields, table, wrapped};
use std::io::{self, IsTerminal};

/// The columns of a terminal that does not tell how many it has.
const USUAL_WIDTH: usize = 80;
/// A terminal narrower than this is not given what fits into it.
const LEAST_WIDTH: usize = 40;

/// Who reads.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// The columns of a terminal.
    width: Option<usize>,
    coloured: bool,
}

impl Look {
    /// For a file or a pipe.
    pub const PLAIN: Look = Look {
        width: None,
        coloured: false,
    };

    /// For whoever reads stdout.
    pub fn of_stdout() -> Look {
        let stdout = io::stdout();
        if !stdout.is_terminal() {
            return Look::PLAIN;
        }
        let told = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| size.ws_col.into());
        let width = if told == 0 { USUAL_WIDTH } else { told };
        Look {
            width: Some(width.max(LEAST_WIDTH)),
            coloured: is_coloured(&stdout),
        }
    }

    /// A size.
    pub fn bytes(self, bytes: u64) -> String {
        match self.width {
            Some(_) => human_bytes(bytes),
            None => bytes.to_string(),
        }
    }

    /// One line of a result, its fields; the second is how it went.
    pub fn line(self, of_line: &[&str]) -> String {
        if self.width.is_none() {
            return fields(of_line) + "\n";
        }
        let cells = of_line
            .iter()
            .enumerate()
            .map(|(column, field)| match column {
                1 => self.state(&printable(field)),
                _ => printable(field),
            });
        cells.collect::<Vec<_>>().join("  ") + "\n"
    }

    /// Columns that line up, the first row their names. What is too wide goes on below.
    pub fn table<Row: AsRef<[String]>>(self, rows: &[Row]) -> String {
        match self.width {
            None => table(rows),
            Some(width) => wrapped(rows, width, |column, cell| match column {
                "STATE" | "VERIFIED" | "LAST" => self.state(cell),
                _ => cell.to_string(),
            }),
        }
    }

    /// A line that goes on below, further in, where a terminal is too narrow for it.
    pub fn paragraph(self, text: &str) -> String {
        match self.width {
            None => format!("{text}\n"),
            Some(width) => filled(text, width),
        }
    }

    /// A state in its colour, which its first word tells.
    pub fn state(self, text: &str) -> String {
        let word = text.split([' ', ':']).next().unwrap_or_default();
        let colour = match word {
            "ok" | "good" => "32",
            "warning" | "degraded" | "undecided" | "refused" | "noted" => "33",
            "critical" | "failed" | "bad" | "damaged" => "31",
            _ => return text.to_string(),
        };
        match self.coloured {
            true => format!("\x1b[{colour}m{word}\x1b[0m{}", &text[word.len()..]),
            false => text.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOURED: Look = Look {
        width: Some(80),
        coloured: true,
    };

    #[test]
    fn a_program_reads_tabs_and_digits_and_a_person_sizes_and_colours() {
        assert_eq!(
            Look::PLAIN.line(&["app", "ok", &Look::PLAIN.bytes(2048)]),
            "app\tok\t2048\n"
        );
        assert_eq!(
            COLOURED.line(&["a\x1bpp", "failed", &COLOURED.bytes(2048)]),
            "a\\u{1b}pp  \x1b[31mfailed\x1b[0m  2.0 KiB\n"
        );
        assert_eq!(
            COLOURED.state("bad: full 3d ago"),
            "\x1b[31mbad\x1b[0m: full 3d ago"
        );
        assert_eq!(COLOURED.state("okay"), "okay");
    }
}
