//! Words for a shell, in the commands that people copy from a message.

/// `text` as one word: as it is where that is safe, else in quotes.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@,+%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_string(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        for (text, expected) in [
            ("app_db/2026", "app_db/2026"),
            ("größe", "größe"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$HOME;~", "'$HOME;~'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(word(text), expected);
        }
    }
}
