//! A paragraph in lines that fit.

/// What goes on below begins so far to the right, beside where the first line begins.
const INDENT: usize = 4;

/// `text` in lines of `width` characters that break between words; a word that is longer has a line of its own. What steers
/// a colour takes no room.
pub fn filled(text: &str, width: usize) -> String {
    let begin = text.len() - text.trim_start_matches(' ').len();
    let indent = " ".repeat(begin + INDENT);
    let mut lines = text[..begin].to_string();
    let (mut used, mut is_first) = (begin, true);
    for word in text[begin..].split(' ') {
        let room = shown(word);
        if is_first {
            is_first = false;
        } else if used + 1 + room > width {
            lines.push('\n');
            lines.push_str(&indent);
            used = indent.len();
        } else {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += room;
    }
    lines.push('\n');
    lines
}

/// How many characters of `word` are seen.
fn shown(word: &str) -> usize {
    let mut steers = false;
    let seen = word.chars().filter(|letter| {
        let begins = *letter == '\x1b';
        let is_seen = !(steers || begins);
        steers = begins || steers && *letter != 'm';
        is_seen
    });
    seen.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_colours_take_no_room() {
        assert_eq!(filled("a bb ccc", 80), "a bb ccc\n");
        assert_eq!(filled("a bb ccc", 4), "a bb\n    ccc\n");
        assert_eq!(filled("  hint: do it", 9), "  hint:\n      do\n      it\n");
        assert_eq!(
            filled("a \x1b[31mbad\x1b[0m b", 7),
            "a \x1b[31mbad\x1b[0m b\n"
        );
        assert_eq!(filled("long-word-here x", 4), "long-word-here\n    x\n");
    }
}
