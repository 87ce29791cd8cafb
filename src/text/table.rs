//! Tables for people: columns that line up.

/// Columns padded to their widest cell, the last one as it is.
pub fn table<Row: AsRef<[String]>>(rows: &[Row]) -> String {
    let mut widths = vec![0; rows.first().map_or(0, |row| row.as_ref().len())];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row.as_ref()) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.as_ref().iter().zip(&widths) {
            line.push_str(cell);
            let missing = width - cell.chars().count() + 2;
            line.extend(std::iter::repeat_n(' ', missing));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["A", "LONG"], ["longer", "x"]].map(|row| row.map(String::from));
        assert_eq!(table(&rows), "A       LONG\nlonger  x\n");
    }
}
