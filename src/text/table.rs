//! Tables for people: columns that line up.

use super::escape::printable;

/// Columns padded to their widest cell, the last one as it is; a cell is one line whatever it holds.
pub fn table<Row: AsRef<[String]>>(rows: &[Row]) -> String {
    let printable = |row: &Row| row.as_ref().iter().map(|cell| printable(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(printable).collect();
    let mut widths = vec![0; rows.first().map_or(0, Vec::len)];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            let missing = width - cell.chars().count() + 2;
            line.extend(std::iter::repeat_n(' ', missing));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
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
}
