//! Text that is cut where there is room for no more, with an ellipsis in the place of what is missing.

const MISSING: char = '…';

/// `text` in `room` bytes, the ellipsis among them; the ellipsis alone where there is room for no more than that.
pub fn cut_bytes(text: &str, room: usize) -> String {
    if text.len() <= room {
        return text.to_string();
    }
    let mut end = room.saturating_sub(MISSING.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MISSING}", &text[..end])
}

/// The first `count` characters of `text`, and after them the ellipsis where there are more.
pub fn cut_chars(text: &str, count: usize) -> String {
    match text.char_indices().nth(count) {
        Some((end, _)) => format!("{}{MISSING}", &text[..end]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_between_characters() {
        assert_eq!(cut_bytes("ürgh", 5), "ürgh");
        assert_eq!(cut_bytes("üüüü", 6), "ü…");
        assert_eq!(cut_bytes("üü", 1), "…");
        assert_eq!(cut_chars("üüü", 3), "üüü");
        assert_eq!(cut_chars("üüü", 2), "üü…");
    }
}
