//! Tables for people: columns that line up.

use super::escape::printable;
use std::ops::Range;

/// Between two columns.
const GAP: usize = 2;
/// What goes on below begins so far to the right.
const INDENT: usize = 4;

/// Columns padded to their widest cell, the last one as it is; a cell is one line whatever it holds.
pub fn table<Row: AsRef<[String]>>(rows: &[Row]) -> String {
    wrapped(rows, usize::MAX, |_, cell| cell.to_string())
}

/// The same in lines of `width` characters, as far as single columns are not wider: those that have no room stand together in
/// further lines below each row. `paint` may add what takes no room, by the name of the column, which the first row has.
pub fn wrapped<Row: AsRef<[String]>>(
    rows: &[Row],
    width: usize,
    paint: impl Fn(&str, &str) -> String,
) -> String {
    let printable = |row: &Row| row.as_ref().iter().map(|cell| printable(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(printable).collect();
    let Some(header) = rows.first() else {
        return String::new();
    };
    let mut widths = vec![0; header.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let lines = lines_of(&widths, width);
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (index, columns) in lines.iter().enumerate() {
            let indent = if index == 0 { 0 } else { INDENT };
            text.push_str(&" ".repeat(indent));
            for column in columns.clone() {
                let Some(cell) = row.get(column) else { break };
                text.push_str(&match number {
                    0 => cell.clone(),
                    _ => paint(&header[column], cell),
                });
                if column + 1 < columns.end {
                    text.push_str(&" ".repeat(widths[column] - cell.chars().count() + GAP));
                }
            }
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
        }
    }
    text
}

/// Which columns stand together in a line.
fn lines_of(widths: &[usize], width: usize) -> Vec<Range<usize>> {
    let mut lines: Vec<Range<usize>> = Vec::new();
    let mut used = 0;
    for (column, needs) in widths.iter().enumerate() {
        match lines.last_mut() {
            Some(line) if used + GAP + needs <= width => {
                line.end = column + 1;
                used += GAP + needs;
            }
            last => {
                used = needs + if last.is_none() { 0 } else { INDENT };
                lines.push(column..column + 1);
            }
        }
    }
    lines
}

/// Fields of a line with tabs between; a field holds none, whatever it is.
pub fn fields(of_line: &[&str]) -> String {
    let printable: Vec<String> = of_line.iter().map(|field| printable(field)).collect();
    printable.join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_cell_begins_no_line_and_no_field() {
        assert_eq!(table(&[["a\nb".to_string()]]), "a\\nb\n");
        assert_eq!(fields(&["a\tb", "c\r\n"]), "a\\tb\tc\\r\\n");
    }

    #[test]
    fn columns_line_up() {
        let rows = [["A", "LONG"], ["longer", "x"]].map(|row| row.map(String::from));
        assert_eq!(table(&rows), "A       LONG\nlonger  x\n");
    }

    #[test]
    fn what_has_no_room_goes_on_below_and_lines_up_too() {
        let rows =
            [["NAME", "STATE", "SIZE"], ["a", "ok", "1 KiB"]].map(|row| row.map(String::from));
        let bold = |column: &str, cell: &str| match column {
            "STATE" => format!("*{cell}*"),
            _ => cell.to_string(),
        };
        assert_eq!(
            wrapped(&rows, 17, bold),
            "NAME  STATE\n    SIZE\na     *ok*\n    1 KiB\n"
        );
        assert_eq!(
            wrapped(&rows, 18, bold),
            "NAME  STATE  SIZE\na     *ok*     1 KiB\n"
        );
        assert_eq!(wrapped(&rows, 1, bold).lines().count(), 6);
    }
}
