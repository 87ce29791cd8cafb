//! Text of others, such as the name of a table or what an archive says it is, made safe for a terminal, a log or a
//! header of a mail.
//!
//! What is printed goes through here: a name where it becomes part of a line ([`printable`]), and everything once more on its
//! way out ([`printable_lines`], [`printable_text`], [`printable_json`]).

/// True of what could steer a terminal or reorder what stands around it: control characters, the ends of lines among
/// them, and the marks and overrides of the writing direction.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that could steer a terminal are shown by their code; so what this returns is one line.
pub fn printable(text: &str) -> String {
    escaped(text, |_, _| false)
}

/// The same for names in a row, with commas between.
pub fn printable_list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| printable(name)).collect();
    names.join(", ")
}

/// The same for text that may go on in further lines, which begin with two spaces. Any other end of a line is not ours,
/// and is shown by its code.
pub fn printable_lines(text: &str) -> String {
    escaped(text, |c, rest| c == '\n' && rest.starts_with("  "))
}

/// The same for text whose lines and columns are ours, and whose names went through [`printable`].
pub fn printable_text(text: &str) -> String {
    escaped(text, |c, _| matches!(c, '\n' | '\t'))
}

/// The same for JSON, whose strings alone can hold such characters.
pub fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        match steers(c) {
            true => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => shown.push(c),
        }
    }
    shown
}

/// What another program said: each further line is marked, since a name in it may hold the end of a line.
pub fn quoted_lines(said: &str) -> String {
    let shown = |line: &str| printable(&line.replace('\t', " "));
    let lines: Vec<String> = said.lines().map(shown).collect();
    lines.join("\n  | ")
}

/// Characters that could steer become spaces.
pub fn one_line(text: &str) -> String {
    let space = |c: char| if steers(c) { ' ' } else { c };
    text.chars().map(space).collect()
}

fn escaped(text: &str, stays: impl Fn(char, &str) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if steers(c) && !stays(c, &text[at + c.len_utf8()..]) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_by_its_code() {
        assert_eq!(printable("größe.\u{1b}[2J"), "größe.\\u{1b}[2J");
        assert_eq!(printable("a\u{202e}b\n\u{9b}"), "a\\u{202e}b\\n\\u{9b}");
    }

    #[test]
    fn a_name_begins_no_line() {
        assert_eq!(printable_lines("a\n  hint: b\nc"), "a\n  hint: b\\nc");
        assert_eq!(printable_text("a\tb\n\r"), "a\tb\n\\r");
        assert_eq!(
            quoted_lines("ERROR: x\nDETAIL: \u{7}"),
            "ERROR: x\n  | DETAIL: \\u{7}"
        );
    }

    #[test]
    fn json_stays_json() {
        let text = "a\u{7f}\u{9b}\u{202e}\u{1b}";
        let json = printable_json(&serde_json::to_string(text).unwrap());
        assert_eq!(json, r#""a\u007f\u009b\u202e\u001b""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn a_line_stays_one() {
        assert_eq!(one_line("a\r\nBcc: b\u{7f}"), "a  Bcc: b ");
    }
}
