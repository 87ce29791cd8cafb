//! Taking values out of the tree, and noting what is wrong with them.
//!
//! A reading method that finds a problem notes it and gives `None`; reading goes on, so that one look at
//! the report is enough to mend a file.

use super::cursor::{KeyTable, Spot};
use super::document::Node;
use super::expand::{self, ConfigText, Env, SecretText};
use super::problem::ConfigProblem;
use super::relative;
use super::rules::{self, Rule, ValueFault};
use super::shown::{is_plain_key, shown};
use crate::text::amount::Amount;
use crate::text::duration;
use crate::text::nearest::nearest;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

/// What a key that is not known stands for most likely.
enum UnknownKey<'a> {
    /// A known key, misspelt.
    Misspelt(&'a str),
    /// A known key and its value, without the space between them.
    Unspaced(&'a str),
    /// A key of this other section.
    Misplaced(&'a str, String),
    /// A word of which nothing is known.
    Word,
    /// What may be a value, and a secret.
    Hidden,
}

impl<'a> UnknownKey<'a> {
    fn of(
        key: &'a str,
        value: &Node,
        known: &[&'a str],
        home_of: fn(&str) -> Option<String>,
    ) -> UnknownKey<'a> {
        let before_colon = key.split_once(':').map(|(before, _)| before);
        let unspaced = |name: &&&str| before_colon == Some(**name);
        if let Some(name) = known.iter().find(unspaced) {
            return UnknownKey::Unspaced(name);
        }
        if !is_plain_key(key) {
            return UnknownKey::Hidden;
        }
        if let Some(near) = nearest(key, known) {
            return UnknownKey::Misspelt(near);
        }
        if let Some(home) = home_of(key) {
            return UnknownKey::Misplaced(key, home);
        }
        let is_word = key.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
        match is_word && !matches!(value, Node::Nothing) {
            true => UnknownKey::Word,
            false => UnknownKey::Hidden,
        }
    }

    /// The known key that is meant, so that it is not told to be missing as well.
    fn meant(&self) -> Option<&'a str> {
        match self {
            UnknownKey::Misspelt(name) | UnknownKey::Unspaced(name) => Some(name),
            _ => None,
        }
    }

    /// True where the key itself may stand in a message.
    fn is_shown(&self) -> bool {
        !matches!(self, UnknownKey::Unspaced(_) | UnknownKey::Hidden)
    }

    fn fault(&self, known: &[&str]) -> ValueFault {
        let unknown = ValueFault::new("is not a known key");
        let all = || format!("known here: {}", known.join(", "));
        match self {
            UnknownKey::Misspelt(near) => unknown.hint(format!("did you mean {near}?")),
            UnknownKey::Misplaced(key, home) => unknown.hint(format!("{key} belongs under {home}")),
            UnknownKey::Word => unknown.hint(all()),
            UnknownKey::Unspaced(name) => {
                ValueFault::new(format!("has {name}: without a space after it"))
                    .hint(format!("write {name}: VALUE, with a space after the colon"))
            }
            UnknownKey::Hidden => ValueFault::new("has a key that is not known").hint(all()),
        }
    }
}

/// What has been found so far.
pub(crate) struct KeyReader<'e> {
    pub env: &'e Env<'e>,
    /// The directory that relative paths are relative to, where that is known.
    pub base: Option<&'e Path>,
    /// The section that a misplaced key belongs to, where that is known.
    pub home_of: fn(&str) -> Option<String>,
    pub problems: Vec<ConfigProblem>,
    pub warnings: Vec<String>,
    /// The fields that hold a secret in plain text.
    pub plain_secrets: Vec<String>,
    /// The passwords that stand in the file itself, with the steps to each ([`document::locate`]).
    ///
    /// [`document::locate`]: super::document::locate
    pub written_passwords: Vec<(String, Vec<usize>)>,
    /// All secrets, of which some are in files.
    pub secrets: Vec<SecretText>,
}

impl KeyReader<'_> {
    /// Notes a problem with a value.
    pub fn problem(&mut self, spot: &Spot, fault: ValueFault) {
        self.note(spot, false, fault);
    }

    /// Notes a problem with the key of a value.
    pub fn key_problem(&mut self, spot: &Spot, fault: ValueFault) {
        self.note(spot, true, fault);
    }

    fn note(&mut self, spot: &Spot, on_key: bool, fault: ValueFault) {
        self.problems.push(ConfigProblem {
            path: spot.path.clone(),
            steps: spot.steps.clone(),
            on_key,
            what: fault.what,
            hint: fault.hint,
        });
    }

    fn wrong_type(&mut self, spot: &Spot, expected: &str, secret: bool) -> ValueFault {
        ValueFault::new(format!("must be {expected}, found {}", spot.found(secret)))
    }

    /// A mapping, whatever its keys; only a key that stands there twice is noted.
    pub fn mapping<'n>(&mut self, spot: &Spot<'n>) -> Option<KeyTable<'n>> {
        let Node::Mapping(entries) = spot.node else {
            let fault = self.wrong_type(spot, "a mapping", true);
            self.problem(spot, fault);
            return None;
        };
        let mut seen = HashSet::new();
        for (index, (key, node)) in entries.iter().enumerate() {
            if !seen.insert(key) {
                let spot = spot.entry(index, key, node);
                self.key_problem(
                    &spot,
                    ValueFault::new("stands here twice").hint("remove one of the two"),
                );
            }
        }
        Some(KeyTable {
            spot: spot.clone(),
            entries,
            misspelt: Vec::new(),
        })
    }

    /// A mapping that may hold only `known` keys.
    pub fn table<'n>(&mut self, spot: &Spot<'n>, known: &[&str]) -> Option<KeyTable<'n>> {
        let mut table = self.mapping(spot)?;
        let mut misspelt = Vec::new();
        for (key, spot) in table.all().filter(|(key, _)| !known.contains(key)) {
            let unknown = UnknownKey::of(key, spot.node, known, self.home_of);
            misspelt.extend(unknown.meant().map(str::to_owned));
            let fault = unknown.fault(known);
            let path = match unknown.is_shown() {
                true => spot.path.clone(),
                false => table.spot.path.clone(),
            };
            self.key_problem(&Spot { path, ..spot }, fault);
        }
        table.misspelt = misspelt;
        Some(table)
    }

    /// The value of a key that must be there.
    pub fn require<'n>(&mut self, table: &KeyTable<'n>, key: &str, hint: &str) -> Option<Spot<'n>> {
        let found = table.get(key);
        if found.is_none() {
            let hinted = |what: &str| ValueFault::new(what).hint(hint);
            match table.given(key) {
                Some(empty) => self.problem(&empty, hinted("is empty")),
                // told already, at the misspelt key
                None if table.misspelt.iter().any(|meant| meant == key) => {}
                None => {
                    let path = table.spot.entry(0, key, table.spot.node).path;
                    let absent = Spot {
                        path,
                        ..table.spot.clone()
                    };
                    self.problem(&absent, hinted("is missing"));
                }
            }
        }
        found
    }

    /// The items of a list.
    pub fn list<'n>(&mut self, spot: &Spot<'n>) -> Option<Vec<Spot<'n>>> {
        let Node::List(items) = spot.node else {
            let fault = self.wrong_type(spot, "a list", true);
            self.problem(
                spot,
                fault.hint("begin each item with a dash, or write [one, two]"),
            );
            return None;
        };
        let items = items.iter().enumerate();
        Some(
            items
                .map(|(index, node)| spot.child(index, node, format!("{}[{index}]", spot.path)))
                .collect(),
        )
    }

    /// A list, or one value that stands for a list of one.
    pub fn one_or_more<'n>(&mut self, spot: &Spot<'n>) -> Option<Vec<Spot<'n>>> {
        match spot.node {
            Node::Text(_) => Some(vec![spot.clone()]),
            _ => self.list(spot),
        }
    }

    /// A string that is expanded when it is used.
    pub fn text(&mut self, spot: &Spot, check: Rule) -> Option<ConfigText> {
        let raw = self.string(spot, false)?;
        self.checked(spot, raw, check)?;
        Some(ConfigText::new(&spot.path, raw, check))
    }

    /// As [`KeyReader::text`], for a path.
    pub fn path(&mut self, spot: &Spot) -> Option<ConfigText> {
        let path = self.text(spot, rules::path)?;
        Some(self.below_base(path))
    }

    /// `path`, relative to where the configuration is.
    pub fn below_base(&mut self, path: ConfigText) -> ConfigText {
        let Some(base) = self.base else {
            return path;
        };
        // what cannot be resolved yet is told where it is used
        if let Ok(Some(written)) = path.resolve_optional(self.env)
            && let Some(warning) = relative::elsewhere(base, &written)
        {
            self.warnings.push(format!("{}: {warning}", path.field()));
        }
        path.below(base)
    }

    /// As [`KeyReader::path`], where there is one.
    pub fn optional_path(&mut self, table: &KeyTable, key: &str) -> Option<ConfigText> {
        self.path(&table.get(key)?)
    }

    /// As [`KeyReader::text`], for a secret.
    pub fn secret(&mut self, spot: &Spot, check: Rule) -> Option<SecretText> {
        let raw = self.string(spot, true)?;
        self.checked(spot, raw, check)?;
        let secret = SecretText::new(&spot.path, raw, check);
        self.secrets.push(secret.clone());
        Some(secret)
    }

    /// As [`KeyReader::secret`], and a note if the value stands in the file itself.
    pub fn password(&mut self, spot: &Spot) -> Option<SecretText> {
        let secret = self.secret(spot, rules::anything)?;
        if secret.literal().is_some() {
            self.plain_secrets.push(spot.path.clone());
            let written = (spot.path.clone(), spot.steps.clone());
            self.written_passwords.push(written);
        }
        Some(secret)
    }

    /// The secret `password`, or the one in the file that `password_file` names.
    pub fn password_or_file(&mut self, table: &KeyTable) -> Option<SecretText> {
        let Some(file) = table.get("password_file") else {
            return self.password(&table.get("password")?);
        };
        if table.get("password").is_some() {
            self.key_problem(
                &file,
                ValueFault::new("stands beside password").hint("keep the one that is meant"),
            );
        }
        self.secret_file(&file)
    }

    /// The secret in the file that is named here.
    pub fn secret_file(&mut self, spot: &Spot) -> Option<SecretText> {
        let secret = self.path(spot)?.into_file();
        self.secrets.push(secret.clone());
        Some(secret)
    }

    /// A string that is needed now: a name or a kind.
    pub fn word(&mut self, spot: &Spot, check: Rule) -> Option<String> {
        let text = self.text(spot, check)?;
        self.expanded(spot, &text)
    }

    /// A port: a number, or a string that is one when expanded.
    pub fn port(&mut self, spot: &Spot) -> Option<ConfigText> {
        let raw = match spot.node {
            Node::Whole(number) => number.to_string(),
            Node::Text(text) => text.clone(),
            _ => {
                let fault = self.wrong_type(spot, "a port number", false);
                self.problem(spot, fault);
                return None;
            }
        };
        self.checked(spot, &raw, rules::port)?;
        Some(ConfigText::new(&spot.path, &raw, rules::port))
    }

    /// A whole number within `range`.
    pub fn number(&mut self, spot: &Spot, range: RangeInclusive<u32>) -> Option<u32> {
        let expected = match (*range.start(), *range.end()) {
            (0, u32::MAX) => "a whole number, 0 or more".to_owned(),
            (low, u32::MAX) => format!("a whole number, {low} or more"),
            (low, high) => format!("a whole number from {low} to {high}"),
        };
        let value = match spot.node {
            Node::Whole(value) => Some(*value),
            Node::Text(_) => self.word(spot, rules::anything)?.parse().ok(),
            _ => None,
        };
        let fits = value.and_then(|value| u32::try_from(value).ok());
        let fits = fits.filter(|value| range.contains(value));
        if fits.is_none() {
            let fault = self.wrong_type(spot, &expected, false);
            self.problem(spot, fault);
        }
        fits
    }

    /// `true` or `false`.
    pub fn flag(&mut self, spot: &Spot) -> Option<bool> {
        self.flag_or(spot, "true or false", |flag| flag, |_| None)
    }

    /// What `true` or `false` means, or a word that `of_word` knows.
    pub fn flag_or<T>(
        &mut self,
        spot: &Spot,
        expected: &str,
        of_flag: fn(bool) -> T,
        of_word: fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = match spot.node {
            Node::Flag(value) => Some(of_flag(*value)),
            Node::Text(_) => {
                let word = self.word(spot, rules::anything)?.trim().to_lowercase();
                switch(&word).map(of_flag).or_else(|| of_word(&word))
            }
            _ => None,
        };
        if value.is_none() {
            let fault = self.wrong_type(spot, expected, false);
            self.problem(spot, fault);
        }
        value
    }

    /// A duration such as `1h30m`; the number 0 is one too.
    pub fn duration(&mut self, spot: &Spot) -> Option<Duration> {
        match spot.node {
            Node::Whole(0) => return Some(Duration::ZERO),
            Node::Whole(number) => {
                let fault = self.wrong_type(spot, "a duration with its unit", false);
                self.problem(
                    spot,
                    fault.hint(format!(
                        "write {number}s, {number}m, {number}h or {number}d"
                    )),
                );
                return None;
            }
            _ => {}
        }
        let text = self.word(spot, rules::duration)?;
        duration::parse(&text).ok()
    }

    /// A number of bytes, plain or with a unit.
    pub fn size(
        &mut self,
        spot: &Spot,
        range: RangeInclusive<u64>,
        range_text: &str,
    ) -> Option<u64> {
        let value = match spot.node {
            Node::Whole(value) => u64::try_from(*value).ok(),
            Node::Text(_) => rules::size(&self.word(spot, rules::anything)?),
            _ => None,
        };
        let fits = value.filter(|value| range.contains(value));
        if fits.is_none() {
            let fault = self.wrong_type(spot, &format!("a size from {range_text}"), false);
            self.problem(spot, fault.hint("write 8MiB, 64MB or a number of bytes"));
        }
        fits
    }

    /// A number of bytes as [`KeyReader::size`] takes it, or a percentage.
    pub fn amount(&mut self, spot: &Spot) -> Option<Amount> {
        let value = match spot.node {
            Node::Whole(value) => u64::try_from(*value).ok().map(Amount::Bytes),
            Node::Text(_) => rules::amount(&self.word(spot, rules::anything)?),
            _ => None,
        };
        if value.is_none() {
            let fault = self.wrong_type(spot, "a size or a percentage", false);
            self.problem(spot, fault.hint("write 20GiB or 10%"));
        }
        value
    }

    fn string<'n>(&mut self, spot: &Spot<'n>, secret: bool) -> Option<&'n str> {
        if let Node::Text(text) = spot.node {
            if expand::has_stray_reference(text) {
                self.warnings.push(format!(
                    "{}: ${{ without a variable name and }} stays as it is; write $${{ if that is meant",
                    spot.path
                ));
            }
            return Some(text);
        }
        let mut fault = self.wrong_type(spot, "a string", secret);
        if matches!(
            spot.node,
            Node::Flag(_) | Node::Whole(_) | Node::Fraction(_)
        ) {
            fault = fault.hint("put it in quotes");
        }
        self.problem(spot, fault);
        None
    }

    fn checked(&mut self, spot: &Spot, raw: &str, check: Rule) -> Option<()> {
        match expand::check_literal(raw, check) {
            Ok(()) => Some(()),
            Err(fault) => {
                self.problem(spot, fault);
                None
            }
        }
    }

    fn expanded(&mut self, spot: &Spot, text: &ConfigText) -> Option<String> {
        match text.resolve(self.env) {
            Ok(value) => Some(value),
            Err(error) => {
                // the chain begins with the field, which the report says as well
                let chain = error.chain();
                let what = chain.strip_prefix(&spot.path).unwrap_or(&chain);
                let fault = ValueFault::new(what.trim_start_matches([':', ' ']));
                self.problem(
                    spot,
                    match error.first_hint() {
                        Some(hint) => fault.hint(hint),
                        None => fault,
                    },
                );
                None
            }
        }
    }

    pub(crate) fn each<'n, T>(
        &mut self,
        spots: Vec<Spot<'n>>,
        read: impl Fn(&mut Self, &Spot<'n>) -> Option<T>,
    ) -> Vec<(Spot<'n>, Option<T>)> {
        let read = |spot| {
            let value = read(self, &spot);
            (spot, value)
        };
        spots.into_iter().map(read).collect()
    }

    pub(crate) fn required_word(
        &mut self,
        table: &KeyTable,
        key: &str,
        hint: &str,
        check: Rule,
    ) -> Option<String> {
        let spot = self.require(table, key, hint)?;
        self.word(&spot, check)
    }

    /// The word under `type`; neither capitals nor spaces around it make a difference.
    pub(crate) fn kind(&mut self, table: &KeyTable, hint: &str) -> Option<String> {
        let word = self.required_word(table, "type", hint, rules::anything)?;
        Some(word.trim().to_lowercase())
    }

    pub(crate) fn required_text(
        &mut self,
        table: &KeyTable,
        key: &str,
        hint: &str,
        check: Rule,
    ) -> Option<ConfigText> {
        let spot = self.require(table, key, hint)?;
        self.text(&spot, check)
    }

    pub(crate) fn optional_text(
        &mut self,
        table: &KeyTable,
        key: &str,
        check: Rule,
    ) -> Option<ConfigText> {
        let spot = table.get(key)?;
        self.text(&spot, check)
    }

    pub(crate) fn both_or_neither(&mut self, table: &KeyTable, one: &str, other: &str) {
        let (missing, there) = match (table.get(one), table.get(other)) {
            (Some(spot), None) => (other, spot),
            (None, Some(spot)) => (one, spot),
            _ => return,
        };
        self.key_problem(
            &there,
            ValueFault::new(format!("needs {missing} beside it")).hint("give both or neither"),
        );
    }

    pub(crate) fn foreign(&mut self, table: &KeyTable, key: &str, place: &str) {
        if let Some(spot) = table.get(key) {
            self.key_problem(
                &spot,
                ValueFault::new(format!("does not belong in {place}")),
            );
        }
    }

    pub(crate) fn unknown_kind(&mut self, table: &KeyTable, found: &str, known: &str) {
        if let Some(spot) = table.get("type") {
            self.problem(
                &spot,
                ValueFault::new(format!("must be {known}, found {}", shown(found))),
            );
        }
    }
}
/// The words that YAML 1.1 has for true and false, which people and older programs write.
fn switch(word: &str) -> Option<bool> {
    match word {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}
