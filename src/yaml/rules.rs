//! What is wrong with a value, and the rules that any kind of key may have. Pure: each looks at one expanded value and
//! tells what is wrong with it.
//!
//! The same rule holds when the file is loaded (for values without variables) and when the value is
//! used (for all of them). A rule for a secret never puts the value into its message.

use crate::error::Error;
use crate::text::amount::Amount;
use crate::text::duration;
use crate::text::nearest::nearest;

pub(crate) use super::shown::shown;

/// What is wrong with a value, said after the name of its field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValueFault {
    pub what: String,
    pub hint: Option<String>,
}

impl ValueFault {
    pub fn new(what: impl Into<String>) -> ValueFault {
        ValueFault {
            what: what.into(),
            hint: None,
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> ValueFault {
        self.hint = Some(hint.into());
        self
    }

    /// What is wrong, as an error about `field`.
    pub fn error(self, field: &str) -> Error {
        let error = Error::usage(format!("{field} {}", self.what));
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// A rule for one value.
pub(crate) type Rule = fn(&str) -> Result<(), ValueFault>;

pub(crate) fn anything(_: &str) -> Result<(), ValueFault> {
    Ok(())
}

pub(crate) fn path(path: &str) -> Result<(), ValueFault> {
    match path == "~" || path.starts_with("~/") {
        true => Err(ValueFault::new("begins with ~, which is not expanded here")
            .hint("write ${HOME} in its place")),
        false => Ok(()),
    }
}

pub(crate) fn port(text: &str) -> Result<(), ValueFault> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(1..) if digits => Ok(()),
        _ => Err(ValueFault::new(format!(
            "must be a port number from 1 to 65535, found {}",
            shown(text)
        ))
        .hint("PostgreSQL usually listens on 5432, mail servers on 587 or 465")),
    }
}

pub(crate) fn no_control(text: &str) -> Result<(), ValueFault> {
    match text.chars().any(char::is_control) {
        true => Err(ValueFault::new("contains a control character")),
        false => Ok(()),
    }
}

pub(crate) fn duration(text: &str) -> Result<(), ValueFault> {
    duration::parse(text).map(|_| ()).map_err(|reason| {
        let what = match shown(text) {
            quoted if quoted.starts_with('"') => format!("is not a duration: {quoted} {reason}"),
            hidden => format!("is not a duration, found {hidden}"),
        };
        ValueFault::new(what).hint("write 90s, 45m, 1h30m, 14d or 0")
    })
}

pub(crate) fn http_url(text: &str, example: &str) -> Result<(), ValueFault> {
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let bad = |c: char| c.is_whitespace() || c.is_control();
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') && !rest.contains(bad) => Ok(()),
        _ => Err(ValueFault::new("is not an http or https URL").hint(example)),
    }
}

pub(crate) fn one_of(text: &str, known: &[&str]) -> Result<(), ValueFault> {
    if known.contains(&text) {
        return Ok(());
    }
    let near = nearest(text, known);
    let found = match near {
        Some(_) => format!("{text:?}"),
        None => shown(text),
    };
    let fault = ValueFault::new(format!(
        "must be one of {}, found {found}",
        known.join(", ")
    ));
    Err(match near {
        Some(near) => fault.hint(format!("did you mean {near}?")),
        None => fault,
    })
}

/// A size, or a whole number of percents.
pub(crate) fn amount(text: &str) -> Option<Amount> {
    match text.strip_suffix('%') {
        Some(number) => {
            let percent = number.trim_end().parse().ok();
            percent
                .filter(|percent| *percent <= 100)
                .map(Amount::Percent)
        }
        None => size(text).map(Amount::Bytes),
    }
}

/// Reads a number of bytes: plain, or with `KB MB GB TB` (powers of 1000) or `KiB MiB GiB TiB` (powers of 1024).
pub(crate) fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim_start() {
        "" | "B" => 1,
        "KB" | "kB" => 1000,
        "MB" => 1000 * 1000,
        "GB" => 1000 * 1000 * 1000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TB" => 1000 * 1000 * 1000 * 1000,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
