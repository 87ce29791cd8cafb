//! The one error type: what was being done, why it failed, and what to do next.
//!
//! [`Kind`] alone decides the exit status and whether trying again makes sense. `Display` prints only
//! its own layer; [`Error::report`] prints the whole chain, and `main` calls it once.
//! An [`Error`] survives a trip through [`std::io::Error`], so that the `Read` and `Write` adapters of
//! the streams can pass it on without losing its kind or its hint.

use crate::cause::FailureCause;
use crate::text::escape::{printable, printable_lines};
use rustix::io::Errno;
use std::fmt;
use std::io;

/// `Result` with our [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What to do where a file system says that it is read-only.
const READ_ONLY: &str = "a service may write only where its unit lets it: backupkit test says which lines do, \
     for systemctl edit; elsewhere see why the file system is mounted read-only";

type BoxedError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What sort of failure this is. Scripts see it as the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything without a status of its own. Exit 1.
    Failed,
    /// Something outside is down for now; the same run may succeed later. Exit 1.
    Unavailable,
    /// The command line or the configuration is wrong. Exit 2.
    Usage,
    /// Some of several databases or copies failed. Exit 3.
    Partial,
    /// No such backup or database. Exit 10.
    NotFound,
    /// Another run holds the lock. Exit 11.
    Locked,
    /// No password at hand opens the archive. Exit 12.
    WrongPassword,
    /// The archive is damaged or incomplete. Exit 13.
    Damaged,
    /// A backup is older than allowed. Exit 14.
    TooOld,
    /// Refused for safety; an option says that it is meant. Exit 15.
    Refused,
    /// Ended by this signal. Exit 128 + its number.
    Signal(i32),
    /// What a monitoring plugin has to say: exit 1, 2 or 3 for warning, critical or unknown.
    Plugin(u8),
}

impl Kind {
    /// The exit status that `main` ends with.
    pub fn exit_status(self) -> u8 {
        match self {
            Kind::Failed | Kind::Unavailable => 1,
            Kind::Usage => 2,
            Kind::Partial => 3,
            Kind::NotFound => 10,
            Kind::Locked => 11,
            Kind::WrongPassword => 12,
            Kind::Damaged => 13,
            Kind::TooOld => 14,
            Kind::Refused => 15,
            Kind::Signal(number) => 128u8.wrapping_add(number as u8),
            Kind::Plugin(status) => status,
        }
    }

    /// The word for this kind in `--json` output.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Failed => "failed",
            Kind::Unavailable => "unavailable",
            Kind::Usage => "usage",
            Kind::Partial => "partial",
            Kind::NotFound => "not_found",
            Kind::Locked => "locked",
            Kind::WrongPassword => "wrong_password",
            Kind::Damaged => "damaged",
            Kind::TooOld => "too_old",
            Kind::Refused => "refused",
            Kind::Signal(_) => "cancelled",
            Kind::Plugin(_) => "plugin",
        }
    }

    /// True where the cause may pass by itself.
    pub fn may_pass(self) -> bool {
        self == Kind::Unavailable
    }
}

/// A failure: its [`Kind`], one sentence about it, an optional hint with the next step, and its cause.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: Kind,
    message: String,
    cause: Option<FailureCause>,
    hint: Option<String>,
    source: Option<BoxedError>,
}

impl Error {
    /// A failure described by `message`: lower case, no final stop, naming what was being done and to what. Whatever names
    /// it holds, it is one line.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error::made(kind, printable(&message.into()))
    }

    /// A failure whose description goes on in further lines, each of which begins with two spaces. The names in them are
    /// [`printable`].
    pub fn in_lines(kind: Kind, message: &str) -> Error {
        Error::made(kind, printable_lines(message))
    }

    fn made(kind: Kind, message: String) -> Error {
        Error {
            inner: Box::new(Inner {
                kind,
                message,
                cause: None,
                hint: None,
                source: None,
            }),
        }
    }

    /// [`Kind::Failed`] with `message`.
    pub fn failed(message: impl Into<String>) -> Error {
        Error::new(Kind::Failed, message)
    }

    /// [`Kind::Damaged`] with `message`.
    pub fn damaged(message: impl Into<String>) -> Error {
        Error::new(Kind::Damaged, message)
    }

    /// [`Kind::Usage`] with `message`.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::new(Kind::Usage, message)
    }

    /// [`Kind::Refused`] with `message`.
    pub fn refused(message: impl Into<String>) -> Error {
        Error::new(Kind::Refused, message)
    }

    /// Only the exit status is left to give: what went wrong has been told where it happened.
    pub fn already_told(kind: Kind) -> Error {
        Error::new(kind, String::new())
    }

    /// True where nothing is left to print.
    pub fn is_told(&self) -> bool {
        self.inner.message.is_empty()
    }

    /// Adds the next step for the reader, a full sentence without its stop.
    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.inner.hint = Some(printable(&hint.into()));
        self
    }

    /// The only next step there is: those of the layers below are not told.
    pub fn hint_instead(mut self, hint: impl Into<String>) -> Error {
        let mut layer = Some(&mut self);
        while let Some(error) = layer {
            error.inner.hint = None;
            let below = error.inner.source.as_deref_mut();
            layer = below.and_then(|source| source.downcast_mut::<Error>());
        }
        self.hint(hint)
    }

    /// Adds another next step after the one that is there, or that a cause has.
    pub fn also_hint(mut self, hint: impl Into<String>) -> Error {
        let hint = printable(&hint.into());
        self.inner.hint = Some(match self.first_hint() {
            Some(first) => format!("{first}\n{hint}"),
            None => hint,
        });
        self
    }

    /// Adds the cause.
    pub fn because(mut self, source: impl Into<BoxedError>) -> Error {
        self.inner.source = Some(source.into());
        self
    }

    /// Adds what PostgreSQL says is the matter.
    pub fn with_cause(mut self, cause: FailureCause) -> Error {
        self.inner.cause = Some(cause);
        self
    }

    /// What PostgreSQL says is the matter, from the first layer down the chain that knows it.
    pub fn cause(&self) -> Option<FailureCause> {
        let below = || {
            self.inner
                .source
                .as_deref()?
                .downcast_ref::<Error>()?
                .cause()
        };
        self.inner.cause.or_else(below)
    }

    /// Replaces the kind and keeps everything else.
    pub fn with_kind(mut self, kind: Kind) -> Error {
        self.inner.kind = kind;
        self
    }

    /// The kind of this failure.
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// True for what ends a command, whatever it was doing: a signal. Any other failure is noted, and the rest goes on.
    pub fn ends_the_run(&self) -> bool {
        matches!(self.kind(), Kind::Signal(_))
    }

    /// The first hint found on the way down the chain.
    pub fn first_hint(&self) -> Option<&str> {
        if let Some(hint) = &self.inner.hint {
            return Some(hint);
        }
        let source = self.inner.source.as_deref()?;
        source.downcast_ref::<Error>()?.first_hint()
    }

    /// Wraps `self` in what was being done when it happened; the kind stays.
    pub fn doing(self, message: impl Into<String>) -> Error {
        let kind = self.kind();
        Error::new(kind, message).because(self)
    }

    /// The whole chain, outermost first, without the hints: one line, but for what a program said in several.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            let layer = match error.is::<Error>() || carries_ours(error) {
                true => error.to_string(),
                false => printable(&error.to_string()),
            };
            // io::Error prints the error it carries as its own text; saying it once is enough
            if !text.ends_with(&layer) {
                text.push_str(": ");
                text.push_str(&layer);
            }
            next = error.source();
        }
        text
    }

    /// What a person reads: the chain, and below it each different hint on a line of its own.
    pub fn report(&self) -> String {
        let mut text = self.chain();
        let mut hints: Vec<&str> = Vec::new();
        let mut layer = Some(self);
        while let Some(error) = layer {
            if let Some(hint) = &error.inner.hint
                && !hints.iter().any(|told| told.contains(hint.as_str()))
            {
                hints.push(hint);
            }
            layer = error
                .inner
                .source
                .as_deref()
                .and_then(|source| source.downcast_ref::<Error>());
        }
        for hint in hints {
            text.push_str("\n  hint: ");
            text.push_str(&hint.replace('\n', "\n        "));
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind(), self.report())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner
            .source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::other(error)
    }
}

impl From<io::Error> for Error {
    /// Takes our own error out again where the `io::Error` carries one.
    fn from(error: io::Error) -> Error {
        match error.downcast::<Error>() {
            Ok(ours) => ours,
            Err(plain) => {
                let error = Error::new(kind_of(&plain), plain.to_string());
                match plain.kind() {
                    io::ErrorKind::ReadOnlyFilesystem => error.hint(READ_ONLY),
                    _ => error,
                }
            }
        }
    }
}

/// True of an `io::Error` that carries one of ours, whose text it then has.
fn carries_ours(error: &(dyn std::error::Error + 'static)) -> bool {
    let plain = error.downcast_ref::<io::Error>();
    plain.is_some_and(|plain| plain.get_ref().is_some_and(|inner| inner.is::<Error>()))
}

/// [`Kind::Unavailable`] for what file systems say while their disk or their server is away.
fn kind_of(error: &io::Error) -> Kind {
    use io::ErrorKind::*;
    // a network file system that is mounted soft says EIO, one with its machine down EHOSTDOWN
    match (error.kind(), Errno::from_io_error(error)) {
        (_, Some(Errno::IO | Errno::HOSTDOWN)) => Kind::Unavailable,
        (
            TimedOut
            | NotConnected
            | HostUnreachable
            | NetworkUnreachable
            | NetworkDown
            | StaleNetworkFileHandle,
            _,
        ) => Kind::Unavailable,
        _ => Kind::Failed,
    }
}

/// Adds what was being done to a failure on its way up.
pub trait Doing<T> {
    /// `message` says what was being done, as in `cannot write /var/backups/x.tmp`.
    fn doing<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T> Doing<T> for Result<T, Error> {
    fn doing<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| error.doing(message()))
    }
}

impl<T> Doing<T> for Result<T, io::Error> {
    fn doing<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| Error::from(error).doing(message()))
    }
}

impl<T> Doing<T> for Result<T, rustix::io::Errno> {
    fn doing<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|error| Error::from(io::Error::from(error)).doing(message()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_trip_through_io() {
        let ours = Error::damaged("frame 3 does not hold").hint("try an older one");
        let back = Error::from(io::Error::from(ours)).doing("cannot restore app");
        assert_eq!(back.kind(), Kind::Damaged);
        assert_eq!(back.kind().exit_status(), 13);
        assert_eq!(
            back.report(),
            "cannot restore app: frame 3 does not hold\n  hint: try an older one"
        );
        assert_eq!(back.first_hint(), Some("try an older one"));
    }

    #[test]
    fn a_file_system_that_is_away_may_come_back() {
        let kind = |errno: Errno| Error::from(io::Error::from(errno)).kind();
        for away in [
            Errno::IO,
            Errno::STALE,
            Errno::HOSTDOWN,
            Errno::TIMEDOUT,
            Errno::NOTCONN,
        ] {
            assert!(kind(away).may_pass(), "{away:?}");
        }
        for stays in [Errno::NOSPC, Errno::NOENT, Errno::ACCESS, Errno::ROFS] {
            assert_eq!(kind(stays), Kind::Failed, "{stays:?}");
        }
    }

    #[test]
    fn a_file_system_that_is_read_only_says_what_lets_a_service_write() {
        let error = Error::from(io::Error::from(Errno::ROFS)).doing("cannot create /srv/b");
        assert!(
            error
                .report()
                .contains("hint: a service may write only where"),
            "{error:?}"
        );
        assert_eq!(
            Error::from(io::Error::from(Errno::ACCESS)).first_hint(),
            None
        );
    }

    #[test]
    fn no_name_begins_a_line_or_steers_a_terminal() {
        let name = "x\u{1b}[2J\n  hint: all is well";
        let plain = std::io::Error::other(name);
        let error = Error::failed(name).hint(name).also_hint(name);
        let error = Error::failed(name)
            .because(error.because(plain))
            .doing(name);
        let report = error.report();
        let lines: Vec<&str> = report.lines().collect();
        assert_eq!(lines.len(), 3, "{report}");
        assert!(lines[1].starts_with("  hint: x\\u{1b}[2J\\n  hint: all"));
        assert!(!report.contains('\u{1b}'));
        let told = Error::in_lines(Kind::Failed, "two storages failed\n  a: b\nc");
        assert_eq!(told.chain(), "two storages failed\n  a: b\\nc");
    }

    #[test]
    fn each_layer_prints_only_itself() {
        let error = Error::failed("disk full").doing("cannot write x");
        assert_eq!(error.to_string(), "cannot write x");
        assert_eq!(error.chain(), "cannot write x: disk full");
    }
}
