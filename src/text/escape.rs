//! Text of others, such as the name of a table or what an archive says it is, made safe for a terminal, a log or a
//! header of a mail.

/// Characters that could steer a terminal, or reorder what stands around them, are shown by their code.
pub fn printable(text: &str) -> String {
    let steers = |c: char| {
        // the marks and overrides of the writing direction
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Control characters, the ends of lines among them, become spaces.
pub fn one_line(text: &str) -> String {
    let space = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(space).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_by_its_code() {
        assert_eq!(printable("größe.\u{1b}[2J"), "größe.\\u{1b}[2J");
        assert_eq!(printable("a\u{202e}b\n"), "a\\u{202e}b\\n");
    }

    #[test]
    fn a_line_stays_one() {
        assert_eq!(one_line("a\r\nBcc: b\u{7f}"), "a  Bcc: b ");
    }
}
