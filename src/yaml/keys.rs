//! A section as a table of its keys: each key stands in one line, with its rule and the setting that it fills.
//!
//! The values keep their variables until `KeyValues::fill`.

use super::cursor::KeyTable;
use super::expand::{ConfigText, Env, SecretText};
use super::reader::KeyReader;
use super::rules::{self, Rule};
use crate::error::Result;
use crate::secret::Secret;
use crate::text::amount::Amount;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// One key of a section that fills the settings `S`.
pub(crate) struct SectionKey<S> {
    pub name: &'static str,
    pub form: KeyForm<S>,
}

/// What the value of a key looks like, and where it goes. All but the first may be left out.
pub(crate) enum KeyForm<S> {
    /// A string that must be there; the hint says what for.
    Required(&'static str, Rule, fn(&mut S, String)),
    /// A string.
    Text(Rule, fn(&mut S, String)),
    /// A path that must be there; the hint says what for.
    RequiredPath(&'static str, fn(&mut S, PathBuf)),
    /// A path.
    Path(fn(&mut S, PathBuf)),
    /// A name that is shown to nobody, but may stand in the file.
    Secret(fn(&mut S, Secret)),
    /// A password, which had better not stand in the file.
    Password(fn(&mut S, Secret)),
    /// `true` or `false`.
    Flag(fn(&mut S, bool)),
    /// A number of bytes within a range, and the range as it is told.
    Size(RangeInclusive<u64>, &'static str, fn(&mut S, u64)),
    /// A number of bytes, or a part of the whole in percent.
    Amount(fn(&mut S, Amount)),
    /// A whole number within a range.
    Number(RangeInclusive<u32>, fn(&mut S, u32)),
}

/// The values of a section as they stand in the file.
#[derive(Debug)]
pub(crate) struct KeyValues<S> {
    /// The key path of the section, for messages.
    pub field: String,
    values: Vec<KeyValue<S>>,
}

/// One value, and where it goes.
#[derive(Debug)]
enum KeyValue<S> {
    Required(ConfigText, fn(&mut S, String)),
    Text(ConfigText, fn(&mut S, String)),
    RequiredPath(ConfigText, fn(&mut S, PathBuf)),
    Path(ConfigText, fn(&mut S, PathBuf)),
    Secret(SecretText, fn(&mut S, Secret)),
    Flag(bool, fn(&mut S, bool)),
    Size(u64, fn(&mut S, u64)),
    Amount(Amount, fn(&mut S, Amount)),
    Number(u32, fn(&mut S, u32)),
}

impl<S> KeyForm<S> {
    fn is_required(&self) -> bool {
        matches!(self, KeyForm::Required(..) | KeyForm::RequiredPath(..))
    }
}

/// The names of the keys.
pub(crate) fn names<S>(keys: &[SectionKey<S>]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}

impl KeyReader<'_> {
    /// The values of `table`; `None` where one is missing that must be there.
    pub fn values<S>(&mut self, table: &KeyTable, keys: &[SectionKey<S>]) -> Option<KeyValues<S>> {
        let mut values = Vec::new();
        let mut complete = true;
        for key in keys {
            let value = self.value(table, key);
            complete &= value.is_some() || !key.form.is_required();
            values.extend(value);
        }
        let field = table.spot.path.clone();
        complete.then_some(KeyValues { field, values })
    }

    fn value<S>(&mut self, table: &KeyTable, key: &SectionKey<S>) -> Option<KeyValue<S>> {
        if let KeyForm::Required(hint, rule, set) = key.form {
            let text = self.required_text(table, key.name, hint, rule)?;
            return Some(KeyValue::Required(text, set));
        }
        if let KeyForm::RequiredPath(hint, set) = key.form {
            let path = self.required_text(table, key.name, hint, rules::path)?;
            return Some(KeyValue::RequiredPath(self.below_base(path), set));
        }
        let spot = table.get(key.name)?;
        Some(match &key.form {
            KeyForm::Required(_, rule, set) | KeyForm::Text(rule, set) => {
                KeyValue::Text(self.text(&spot, *rule)?, *set)
            }
            KeyForm::RequiredPath(_, set) | KeyForm::Path(set) => {
                KeyValue::Path(self.path(&spot)?, *set)
            }
            KeyForm::Secret(set) => KeyValue::Secret(self.secret(&spot, rules::anything)?, *set),
            KeyForm::Password(set) => KeyValue::Secret(self.password(&spot)?, *set),
            KeyForm::Flag(set) => KeyValue::Flag(self.flag(&spot)?, *set),
            KeyForm::Size(range, told, set) => {
                KeyValue::Size(self.size(&spot, range.clone(), told)?, *set)
            }
            KeyForm::Amount(set) => KeyValue::Amount(self.amount(&spot)?, *set),
            KeyForm::Number(range, set) => {
                KeyValue::Number(self.number(&spot, range.clone())?, *set)
            }
        })
    }
}

impl<S> KeyValues<S> {
    /// The paths among the values, with their variables replaced, whatever becomes of the other values.
    pub fn paths(&self, env: &Env) -> Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for value in &self.values {
            if let KeyValue::RequiredPath(path, _) | KeyValue::Path(path, _) = value {
                paths.extend(path.resolve_optional(env)?.map(PathBuf::from));
            }
        }
        Ok(paths)
    }

    /// Puts the values into `settings`, with their variables replaced. An optional one that turns out empty counts as
    /// left out.
    pub fn fill(&self, settings: &mut S, env: &Env) -> Result<()> {
        for value in &self.values {
            match value {
                KeyValue::Required(text, set) => set(settings, text.resolve(env)?),
                KeyValue::Text(text, set) => {
                    if let Some(text) = text.resolve_optional(env)? {
                        set(settings, text);
                    }
                }
                KeyValue::RequiredPath(path, set) => set(settings, path.resolve(env)?.into()),
                KeyValue::Path(path, set) => {
                    if let Some(path) = path.resolve_optional(env)? {
                        set(settings, path.into());
                    }
                }
                KeyValue::Secret(secret, set) => {
                    if let Some(secret) = secret.resolve_optional(env)? {
                        set(settings, secret);
                    }
                }
                KeyValue::Flag(value, set) => set(settings, *value),
                KeyValue::Size(value, set) => set(settings, *value),
                KeyValue::Amount(value, set) => set(settings, *value),
                KeyValue::Number(value, set) => set(settings, *value),
            }
        }
        Ok(())
    }
}
