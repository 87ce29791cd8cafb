//! What of a file may be repeated in a message about it. A password lands in every place where something else belongs:
//! in the key (`password:hunter2`), under the wrong key, in the place of a file's name. Line and column tell which text is
//! meant, so what could be a secret is not repeated.

/// Longer words than this are none that anybody meant to write here.
const LONGEST_WORD: usize = 8;
/// Longer keys than this are none.
const LONGEST_KEY: usize = 40;

/// A wrong value as a message may show it: itself in quotes, where it is a plain word or a number, else only its length.
pub(crate) fn shown(text: &str) -> String {
    match is_harmless(text) {
        true => format!("{text:?}"),
        false => format!("{} characters that are not shown", text.chars().count()),
    }
}

/// True for one word of letters, and for a number with or without a unit.
fn is_harmless(text: &str) -> bool {
    let number = text.trim_start_matches(|c: char| c.is_ascii_digit() || ".,:-+ ".contains(c));
    let is_number = number.len() < text.len() && number.len() <= 3;
    text.len() <= LONGEST_WORD
        && (is_number || number.len() == text.len())
        && number.chars().all(|c| c.is_ascii_alphabetic())
}

/// True for what may be a key: letters, digits, and what binds them.
pub(crate) fn is_plain_key(key: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    !key.is_empty() && key.len() <= LONGEST_KEY && key.chars().all(plain)
}

/// A key as a path may show it: itself, or its number, counted from 1.
pub(crate) fn shown_key(index: usize, key: &str) -> String {
    match is_plain_key(key) {
        true => key.to_owned(),
        false => format!("(key {})", index + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_are_shown_and_what_may_be_a_secret_is_not() {
        for harmless in ["", "maybe", "5432x", "70000", "1MiB", "-1", "1.5", "30 d"] {
            assert_eq!(shown(harmless), format!("{harmless:?}"));
        }
        for secret in [
            "hunter2",
            "p@ss",
            "a b",
            "${X:-s}",
            "1a2b3c4d",
            "überall",
            "12345 hunter",
            "longwords",
        ] {
            assert!(!shown(secret).contains(secret), "{secret}");
        }
        assert_eq!(shown_key(2, "keep-last_2"), "keep-last_2");
        assert_eq!(shown_key(2, "password:hunter2"), "(key 3)");
    }
}
