//! String values with variables in them, expanded when they are needed and not before.
//!
//! `${VAR}` stands for the environment variable VAR, or for the content of the file that VAR_FILE names;
//! `${VAR:-default}` for the default, up to the next `}`, where VAR is unset or empty; `$$` for a dollar
//! sign. VAR and VAR_FILE at once are an error, unless the file is not there. Any other `$` stays as it is. What comes out is not expanded again. The environment is asked again
//! each time, so a secret that was rotated in its file is seen by the next run.

use super::relative::below;
use super::rules::{Rule, ValueFault};
use super::secret_file::{read_as, read_file, shown_path};
use crate::error::{Error, Result};
use crate::secret::Secret;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where variables come from: [`process_env`], or a map in tests.
pub type Env<'a> = dyn Fn(&str) -> Option<OsString> + Sync + 'a;

/// The environment of this process.
pub fn process_env(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// A string of the configuration as it was written.
#[derive(Debug, Clone)]
pub struct ConfigText(Unexpanded);

/// As [`ConfigText`], for passwords, keys and tokens.
#[derive(Debug, Clone)]
pub struct SecretText {
    template: Unexpanded,
    place: SecretPlace,
}

/// Where a secret is, once its variables are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SecretPlace {
    /// There.
    Here,
    /// In the file of that name.
    File,
}

#[derive(Clone)]
struct Unexpanded {
    field: String,
    raw: Secret,
    check: Rule,
    /// It is a path, which is relative to this directory where it is relative to any.
    base: Option<PathBuf>,
}

impl ConfigText {
    pub(crate) fn new(field: &str, raw: &str, check: Rule) -> ConfigText {
        ConfigText(Unexpanded::new(field, raw, check))
    }

    /// The key path, such as `databases[0].connection.host`.
    pub fn field(&self) -> &str {
        &self.0.field
    }

    /// The value with its variables replaced. An error names the field and the variable; so does an
    /// empty value, and one that breaks the rule of its key.
    pub fn resolve(&self, env: &Env) -> Result<String> {
        Ok(self.0.resolve(env)?.expose().to_owned())
    }

    /// As [`ConfigText::resolve`]; a value that turns out empty counts as left out.
    pub(crate) fn resolve_optional(&self, env: &Env) -> Result<Option<String>> {
        let value = self.0.resolve_optional(env)?;
        Ok(value.map(|secret| secret.expose().to_owned()))
    }

    /// The same as a path: a relative one is relative to `base`.
    pub(crate) fn below(mut self, base: &Path) -> ConfigText {
        self.0.base = Some(base.to_owned());
        self
    }

    pub(crate) fn literal(&self) -> Option<String> {
        self.0.literal().map(|secret| secret.expose().to_owned())
    }

    /// The secret in the file of this name, which is read again each time.
    pub(crate) fn into_file(self) -> SecretText {
        SecretText {
            template: self.0,
            place: SecretPlace::File,
        }
    }

    /// An error about the value of this field.
    pub(crate) fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::usage(format!("{}: {what}", self.field()))
    }
}

impl SecretText {
    pub(crate) fn new(field: &str, raw: &str, check: Rule) -> SecretText {
        SecretText {
            template: Unexpanded::new(field, raw, check),
            place: SecretPlace::Here,
        }
    }

    /// The key path, such as `databases[0].connection.password`.
    pub fn field(&self) -> &str {
        &self.template.field
    }

    /// As [`ConfigText::resolve`]; an error never holds the value.
    pub fn resolve(&self, env: &Env) -> Result<Secret> {
        let value = self.template.resolve(env)?;
        match self.place {
            SecretPlace::Here => Ok(value),
            SecretPlace::File => self.read(&value)?.ok_or_else(|| {
                let path = self.shown_file(&value);
                Error::usage(format!("{}: {path} is empty", self.field()))
            }),
        }
    }

    /// As [`ConfigText::resolve_optional`]; an error never holds the value.
    pub(crate) fn resolve_optional(&self, env: &Env) -> Result<Option<Secret>> {
        let value = self.template.resolve_optional(env)?;
        match (self.place, value) {
            (SecretPlace::File, Some(path)) => self.read(&path),
            (_, value) => Ok(value),
        }
    }

    /// The content of the file, unless it is empty.
    fn read(&self, path: &Secret) -> Result<Option<Secret>> {
        let content = read_as(Path::new(path.expose()), &self.shown_file(path))
            .map_err(|error| error.doing(format!("{}: cannot read the file", self.field())))?;
        if content.expose().contains('\0') {
            return Err(Error::usage(format!(
                "{}: {} holds a NUL character, which no setting can carry",
                self.field(),
                self.shown_file(path)
            )));
        }
        Ok(Some(content).filter(|content| !content.is_empty()))
    }

    /// The path of the file for a message, by what was written: a directory that was put before it makes no path of it.
    fn shown_file(&self, path: &Secret) -> String {
        let path = Path::new(path.expose());
        let base = self.template.base.as_deref();
        let written = base.and_then(|base| path.strip_prefix(base).ok());
        match written.filter(|written| written.components().count() < 2) {
            Some(name) => shown_path(name),
            None => shown_path(path),
        }
    }

    /// The files that the secret, or a part of it, is read from.
    pub(crate) fn files(&self, env: &Env) -> Vec<PathBuf> {
        let variables = parts(self.template.raw.expose()).filter_map(|part| match part {
            TemplatePart::Variable { name, .. } if env(name).is_none() => {
                env(&format!("{name}_FILE")).filter(|path| !path.is_empty())
            }
            _ => None,
        });
        let mut files: Vec<PathBuf> = variables.map(PathBuf::from).collect();
        if self.place == SecretPlace::File
            && let Ok(Some(path)) = self.template.resolve_optional(env)
        {
            files.push(path.expose().into());
        }
        files
    }

    /// True where `other` has the same variables and the same text, whatever key it stands under.
    pub(crate) fn is_written_as(&self, other: &SecretText) -> bool {
        let (ours, theirs) = (&self.template.raw, &other.template.raw);
        self.place == other.place && ours.expose() == theirs.expose()
    }

    /// Why a variable in it has no value; a file is not read for it, but has to be there.
    pub(crate) fn unset(&self, env: &Env) -> Option<Error> {
        let field = self.field();
        parts(self.template.raw.expose()).find_map(|part| {
            let TemplatePart::Variable { name, default } = part else {
                return None;
            };
            match source(field, name, default, env) {
                Ok(VariableSource::File(path)) if is_absent(&path) => Some(Error::usage(format!(
                    "{field}: {name}_FILE names {}, which is not there",
                    shown_path(&path)
                ))),
                Ok(_) => None,
                Err(error) => Some(error),
            }
        })
    }

    /// The secret, where it stands in the configuration itself.
    pub(crate) fn literal(&self) -> Option<Secret> {
        match self.place {
            SecretPlace::Here => self.template.literal(),
            SecretPlace::File => None,
        }
    }
}

/// Expands an optional value; one that turns out empty counts as left out.
pub(crate) fn optional(text: &Option<ConfigText>, env: &Env) -> Result<Option<String>> {
    let found = text.as_ref().map(|text| text.resolve_optional(env));
    Ok(found.transpose()?.flatten())
}

/// As [`optional`], for secrets.
pub(crate) fn optional_secret(text: &Option<SecretText>, env: &Env) -> Result<Option<Secret>> {
    let found = text.as_ref().map(|text| text.resolve_optional(env));
    Ok(found.transpose()?.flatten())
}

impl Unexpanded {
    fn new(field: &str, raw: &str, check: Rule) -> Unexpanded {
        Unexpanded {
            field: field.to_owned(),
            raw: Secret::new(raw),
            check,
            base: None,
        }
    }

    fn resolve(&self, env: &Env) -> Result<Secret> {
        self.resolve_optional(env)?.ok_or_else(|| {
            let variables: Vec<&str> = parts(self.raw.expose())
                .filter_map(|part| match part {
                    TemplatePart::Variable { name, .. } => Some(name),
                    TemplatePart::Literal(_) => None,
                })
                .collect();
            let error = Error::usage(format!("{} is empty", self.field));
            match variables.is_empty() {
                true => error,
                false => error.hint(format!("give {} a value", variables.join(", "))),
            }
        })
    }

    fn resolve_optional(&self, env: &Env) -> Result<Option<Secret>> {
        let mut text = String::new();
        for part in parts(self.raw.expose()) {
            match part {
                TemplatePart::Literal(literal) => text.push_str(literal),
                TemplatePart::Variable { name, default } => {
                    text.push_str(variable(&self.field, name, default, env)?.expose())
                }
            }
        }
        let value = Secret::new(text);
        if value.is_empty() {
            return Ok(None);
        }
        self.check(value.expose())
            .map_err(|fault| fault.error(&self.field))?;
        match &self.base {
            Some(base) => below(base, value.expose())
                .map(|path| Some(Secret::new(path)))
                .map_err(|fault| fault.error(&self.field)),
            None => Ok(Some(value)),
        }
    }

    fn check(&self, value: &str) -> Result<(), ValueFault> {
        if value.contains('\0') {
            return Err(ValueFault::new(
                "holds a NUL character, which no setting can carry",
            ));
        }
        (self.check)(value)
    }

    fn literal(&self) -> Option<Secret> {
        parts(self.raw.expose())
            .map(|part| match part {
                TemplatePart::Literal(text) => Some(text),
                TemplatePart::Variable { .. } => None,
            })
            .collect::<Option<String>>()
            .map(Secret::new)
    }
}

impl std::fmt::Debug for Unexpanded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.field) // the value may be a secret
    }
}

/// Checks what can be checked without the environment: the rule of the key, where there are no variables.
pub(crate) fn check_literal(raw: &str, check: Rule) -> Result<(), ValueFault> {
    let template = Unexpanded::new("", raw, check);
    match template.literal() {
        Some(value) => template.check(value.expose()),
        None => Ok(()),
    }
}

/// True if the text holds `${` that is no variable, which is more often a slip than meant.
pub(crate) fn has_stray_reference(raw: &str) -> bool {
    parts(raw).any(|part| matches!(part, TemplatePart::Literal(text) if text.starts_with("${")))
}

enum TemplatePart<'a> {
    Literal(&'a str),
    Variable {
        name: &'a str,
        default: Option<&'a str>,
    },
}

/// Splits a text into its literals and its variables. A `$` without a meaning begins a literal.
fn parts(text: &str) -> impl Iterator<Item = TemplatePart<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(tail) = rest.strip_prefix("$$") {
            rest = tail;
            return Some(TemplatePart::Literal("$"));
        }
        if let Some((name, default, tail)) = reference(rest) {
            rest = tail;
            return Some(TemplatePart::Variable { name, default });
        }
        let first = rest.chars().next()?.len_utf8();
        let end = rest[first..].find('$').map_or(rest.len(), |at| at + first);
        let (literal, tail) = rest.split_at(end);
        rest = tail;
        Some(TemplatePart::Literal(literal))
    })
}

/// Takes `${NAME}` or `${NAME:-default}` off the front of `text`.
fn reference(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let (inner, tail) = text.strip_prefix("${")?.split_once('}')?;
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_name = name.bytes().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit());
    (is_name && !name.is_empty()).then_some((name, default, tail))
}

/// Where the value of a variable comes from.
enum VariableSource<'a> {
    /// The variable itself, or its default.
    Here(OsString),
    Default(&'a str),
    /// The file that the other variable names.
    File(PathBuf),
}

fn source<'a>(
    field: &str,
    name: &str,
    default: Option<&'a str>,
    env: &Env,
) -> Result<VariableSource<'a>> {
    let file_variable = format!("{name}_FILE");
    let file = env(&file_variable).filter(|path| !path.is_empty());
    let file = file.map(PathBuf::from);
    match (env(name), file, default) {
        // as the units of the packages name a file for who wants to have one
        (Some(_), Some(path), _) if !is_absent(&path) => Err(Error::usage(format!(
            "{field}: {name} and {file_variable} are both set"
        ))
        .hint(format!(
            "unset one of them, so that it is clear which is meant; {file_variable} does not count where the file is not there"
        ))),
        (Some(value), _, Some(default)) if value.is_empty() => Ok(VariableSource::Default(default)),
        (Some(value), _, _) => Ok(VariableSource::Here(value)),
        (None, Some(path), _) => Ok(VariableSource::File(path)),
        (None, None, Some(default)) => Ok(VariableSource::Default(default)),
        (None, None, None) => Err(Error::usage(format!(
            "{field} needs the variable {name}, which is not set"
        ))
        .hint(format!(
            "set {name}, or set {file_variable} to the path of a file that holds the value"
        ))),
    }
}

/// True where there is certainly no such file.
fn is_absent(path: &Path) -> bool {
    path.try_exists().is_ok_and(|there| !there)
}

fn variable(field: &str, name: &str, default: Option<&str>, env: &Env) -> Result<Secret> {
    match source(field, name, default, env)? {
        VariableSource::Here(value) => value
            .into_string()
            .map(Secret::new)
            .map_err(|_| Error::usage(format!("{field}: the variable {name} is not UTF-8 text"))),
        VariableSource::Default(default) => Ok(Secret::new(default)),
        VariableSource::File(path) => read_file(&path).map_err(|error| {
            error.doing(format!(
                "{field}: cannot read the file that {name}_FILE names"
            ))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::rules::anything;

    fn expand(raw: &str, vars: &[(&str, &str)]) -> Result<String> {
        let env = |name: &str| {
            let found = vars.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        ConfigText::new("a.b", raw, anything).resolve(&env)
    }

    #[test]
    fn variables_defaults_and_dollars_are_replaced_once() {
        let vars = [("A", "${B}$$"), ("B", "b"), ("EMPTY", "")];
        for (raw, expected) in [
            ("${A}", "${B}$$"),
            ("x${B}y${B}", "xbyb"),
            ("${NONE:-dflt}", "dflt"),
            ("${NONE:-a:-b $$ {}", "a:-b $$ {"),
            ("${EMPTY:-dflt}", "dflt"),
            ("${B:-dflt}", "b"),
            ("[${EMPTY}${NONE:-}]", "[]"),
            ("$$", "$"),
            ("$${B}", "${B}"),
            ("$$$${B}", "$${B}"),
            ("$$${B}", "$b"),
            ("pa$word $", "pa$word $"),
            ("${", "${"),
            ("${B", "${B"),
            ("${}", "${}"),
            ("${1B} ${B C} ${B-x}", "${1B} ${B C} ${B-x}"),
            ("$B ${B}", "$B b"),
            ("ü$ü", "ü$ü"),
        ] {
            assert_eq!(expand(raw, &vars).unwrap(), expected, "{raw}");
        }
    }

    #[test]
    fn an_unset_variable_is_named_together_with_its_field() {
        let error = expand("x${DB_PASSWORD}", &[]).unwrap_err();
        assert_eq!(error.kind().exit_status(), 2);
        assert_eq!(
            error.report(),
            "a.b needs the variable DB_PASSWORD, which is not set\n  hint: set DB_PASSWORD, or set \
             DB_PASSWORD_FILE to the path of a file that holds the value"
        );
    }

    #[test]
    fn an_empty_value_is_an_error_where_it_is_needed_and_absent_where_not() {
        let error = expand("${A}", &[("A", "")]).unwrap_err();
        assert_eq!(error.report(), "a.b is empty\n  hint: give A a value");
        let text = Some(ConfigText::new("a.b", "${A:-}", anything));
        assert_eq!(optional(&text, &|_| None).unwrap(), None);
    }

    #[test]
    fn a_file_stands_in_for_an_unset_variable_and_loses_one_final_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let name = path.to_str().unwrap();
        for (content, expected) in [
            ("s3cr3t\n", "s3cr3t"),
            ("a\n\n", "a\n"),
            ("b\r\n", "b"),
            (" c ", " c "),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(expand("${A}", &[("A_FILE", name)]).unwrap(), expected);
            assert_eq!(expand("${A:-x}", &[("A_FILE", name)]).unwrap(), expected);
        }
        let error = expand("${A}", &[("A_FILE", name), ("A", "")]).unwrap_err();
        assert_eq!(error.to_string(), "a.b: A and A_FILE are both set");
        let error = expand("${A}", &[("A_FILE", "/nonexistent/x")]).unwrap_err();
        assert_eq!(
            error.chain(),
            "a.b: cannot read the file that A_FILE names: /nonexistent/x: No such file or directory (os error 2)"
        );
        assert_eq!(expand("${A}", &[("A", "v"), ("A_FILE", "")]).unwrap(), "v");
    }

    #[test]
    fn a_file_that_is_not_there_does_not_count_beside_a_variable_that_is_set() {
        let none = ("A_FILE", "/nonexistent/x");
        assert_eq!(expand("${A}", &[none, ("A", "v")]).unwrap(), "v");
        let secret = |vars: &'static [(&str, &str)]| {
            let env = |name: &str| {
                let found = vars.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            };
            let secret = SecretText::new("a.b", "x${A}", anything);
            secret.unset(&env).map(|error| error.to_string())
        };
        assert_eq!(secret(&[("A", "v")]), None);
        assert_eq!(secret(&[("A_FILE", "/etc/passwd")]), None);
        assert_eq!(
            secret(&[("A_FILE", "/nonexistent/x")]).unwrap(),
            "a.b: A_FILE names /nonexistent/x, which is not there"
        );
        assert_eq!(
            secret(&[("A_FILE", "/etc/passwd"), ("A", "v")]).unwrap(),
            "a.b: A and A_FILE are both set"
        );
        assert_eq!(
            secret(&[]).unwrap(),
            "a.b needs the variable A, which is not set"
        );
    }

    #[test]
    fn a_rotated_secret_is_seen_by_the_next_reading() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let env = |name: &str| (name == "A_FILE").then(|| path.clone().into_os_string());
        let secret = SecretText::new("a.b", "${A}", anything);
        for content in ["old", "new"] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(secret.resolve(&env).unwrap().expose(), content);
        }
    }

    #[test]
    fn a_secret_in_a_file_is_its_content_and_never_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let secret =
            ConfigText::new("a.password_file", path.to_str().unwrap(), anything).into_file();
        let missing = secret.resolve(&|_| None).unwrap_err();
        assert!(
            missing
                .chain()
                .starts_with("a.password_file: cannot read the file: ")
        );
        assert!(missing.first_hint().is_some());
        for (content, expected) in [
            ("s3cr3t\n", Some("s3cr3t")),
            ("${A}", Some("${A}")),
            ("\n", None),
            ("a\0", None),
        ] {
            std::fs::write(&path, content).unwrap();
            let read = secret.resolve(&|_| None);
            assert_eq!(
                read.ok().as_ref().map(Secret::expose),
                expected,
                "{content:?}"
            );
        }
        assert!(secret.literal().is_none());
        std::fs::write(&path, "").unwrap();
        assert_eq!(optional_secret(&Some(secret), &|_| None).unwrap(), None);
    }

    #[test]
    fn neither_debug_nor_errors_show_a_secret() {
        let secret = SecretText::new("a.b", "canary\0", anything);
        let error = secret.resolve(&|_| None).unwrap_err();
        assert!(!format!("{secret:?} {error:?}").contains("canary"));
    }

    #[test]
    fn a_reference_that_is_none_is_noticed() {
        assert!(has_stray_reference("x${A-b}"));
        assert!(has_stray_reference("${A"));
        assert!(!has_stray_reference("${A}$${B}$x $"));
    }
}
