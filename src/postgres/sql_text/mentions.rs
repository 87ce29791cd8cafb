//! Settings that change how psql reads the text, noticed where the text names them, within quotes as well: a function may
//! be given the name of a setting as a text.

use super::charset::Charset;

/// A setting that may be in force from the end of some line on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SettingChange {
    /// A backslash in plain quotes becomes an escape.
    Escapes,
    /// The encoding of the client.
    Charset(Charset),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    Strings,
    Encoding,
}

/// Longer than every name that is looked for.
const LONGEST: usize = 32;
/// A value is looked for in so many letters and digits behind the name.
const BEHIND: usize = 80;

/// Reads along.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    word: Vec<u8>,
    /// The setting that was named, and the letters and digits since.
    named: Option<(Setting, String)>,
}

impl Mentions {
    /// Goes on with `bytes`, and adds what may change to `changes`.
    pub(super) fn feed(&mut self, bytes: &[u8], changes: &mut Vec<SettingChange>) {
        for &byte in bytes {
            let is_word = byte.is_ascii_alphanumeric() || byte == b'_';
            if is_word && self.word.len() < LONGEST {
                self.word.push(byte.to_ascii_lowercase());
            }
            if !is_word && !self.word.is_empty() {
                self.word_ended(changes);
            }
            if let Some((_, behind)) = &mut self.named {
                if byte.is_ascii_alphanumeric() {
                    behind.push(byte.to_ascii_lowercase().into());
                }
                if byte == b';' || behind.len() >= BEHIND {
                    self.settle(changes);
                }
            }
        }
    }

    /// The end of the text, or of what belongs together.
    pub(super) fn settle(&mut self, changes: &mut Vec<SettingChange>) {
        match self.named.take() {
            Some((Setting::Strings, value)) if !is_on(&value) => {
                changes.push(SettingChange::Escapes)
            }
            Some((Setting::Encoding, value)) => {
                changes.extend(Charset::named_in(&value).map(SettingChange::Charset));
            }
            _ => {}
        }
    }

    fn word_ended(&mut self, changes: &mut Vec<SettingChange>) {
        let setting = match &self.word[..] {
            b"standard_conforming_strings" => Some(Setting::Strings),
            b"client_encoding" | b"names" => Some(Setting::Encoding),
            _ => None,
        };
        self.word.clear();
        if let Some(setting) = setting {
            self.settle(changes);
            self.named = Some((setting, String::new()));
        }
    }
}

fn is_on(value: &str) -> bool {
    let value = value.strip_prefix("to").unwrap_or(value);
    matches!(value, "on" | "true" | "yes" | "1")
}
