//! `backup.options`: what may be passed to pg_dump, and what it means for the backup.
//!
//! pg_dump reads its arguments with getopt: `-Fc`, `-vFc`, `-F c`, `--format=c` and `--form=c` are all the
//! same, and each has to be recognized. Options that take the next entry as their argument are refused where
//! that entry looks like an option, so that nothing can hide behind one.

use crate::yaml::rules::{ValueFault, shown};

/// Checked arguments for pg_dump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DumpOptions {
    /// The arguments, in order.
    pub args: Vec<String>,
    partial: bool,
}

impl DumpOptions {
    /// True if the backup holds only a chosen part of the database, so that it never counts as a full one.
    pub fn is_partial(&self) -> bool {
        self.partial
    }
}

#[derive(Clone, Copy)]
enum Meaning {
    /// Passed on.
    Fine,
    /// Passed on, and makes the backup partial.
    Partial,
    /// Refused, with the reason.
    Refused(&'static str),
}

use Meaning::{Fine, Partial, Refused};

const STREAM: Meaning = Refused("BackupKit needs the custom format on a pipe; remove it");
const COMPRESSION: Meaning = Refused("set backup.compression instead");
const CREATE: Meaning = Refused("restore into a database that exists; remove it");
const INSERTS: Meaning =
    Refused("rows are dumped with COPY, which is faster and can be checked; remove it");
const CONNECTION: Meaning = Refused("set it under connection instead");
const LOCKS: Meaning = Refused("set backup.lock_timeout instead");
const NO_DUMP: Meaning = Refused("it prints a text and makes no dump; remove it");

struct KnownOption {
    long: &'static str,
    short: Option<char>,
    takes_argument: bool,
    meaning: Meaning,
}

const fn flag(long: &'static str, short: Option<char>, meaning: Meaning) -> KnownOption {
    KnownOption {
        long,
        short,
        takes_argument: false,
        meaning,
    }
}

const fn with(long: &'static str, short: Option<char>, meaning: Meaning) -> KnownOption {
    KnownOption {
        long,
        short,
        takes_argument: true,
        meaning,
    }
}

/// The options of pg_dump 10 to 18. One that is not here is passed on: pg_dump knows best.
const KNOWN: &[KnownOption] = &[
    flag("attribute-inserts", None, INSERTS),
    flag("binary-upgrade", None, Fine),
    flag("blobs", Some('b'), Fine),
    flag("clean", Some('c'), Fine),
    flag("column-inserts", None, INSERTS),
    with("compress", Some('Z'), COMPRESSION),
    flag("create", Some('C'), CREATE),
    flag("data-only", Some('a'), Partial),
    with("dbname", Some('d'), CONNECTION),
    flag("disable-dollar-quoting", None, Fine),
    flag("disable-triggers", None, Fine),
    flag("enable-row-security", None, Partial),
    with("encoding", Some('E'), Fine),
    with("exclude-extension", None, Fine),
    with("exclude-schema", Some('N'), Fine),
    with("exclude-table", Some('T'), Fine),
    with("exclude-table-and-children", None, Fine),
    with("exclude-table-data", None, Fine),
    with("exclude-table-data-and-children", None, Fine),
    with("extension", Some('e'), Partial),
    with("extra-float-digits", None, Fine),
    with("file", Some('f'), STREAM),
    with("filter", None, Partial),
    with("format", Some('F'), STREAM),
    flag("help", Some('?'), NO_DUMP),
    with("host", Some('h'), CONNECTION),
    flag("if-exists", None, Fine),
    with("include-foreign-data", None, Fine),
    flag("inserts", None, INSERTS),
    with("jobs", Some('j'), STREAM),
    flag("large-objects", None, Fine),
    flag("load-via-partition-root", None, Fine),
    with("lock-wait-timeout", None, LOCKS),
    flag("no-acl", None, Fine),
    flag("no-blobs", Some('B'), Fine),
    flag("no-comments", None, Fine),
    flag("no-data", None, Partial),
    flag("no-large-objects", None, Fine),
    flag("no-owner", Some('O'), Fine),
    flag("no-password", Some('w'), CONNECTION),
    flag("no-policies", None, Fine),
    flag("no-privileges", Some('x'), Fine),
    flag("no-publications", None, Fine),
    flag("no-reconnect", Some('R'), Fine),
    flag("no-schema", None, Partial),
    flag("no-security-labels", None, Fine),
    flag("no-statistics", None, Fine),
    flag("no-subscriptions", None, Fine),
    flag("no-sync", None, Fine),
    flag("no-synchronized-snapshots", None, Fine),
    flag("no-table-access-method", None, Fine),
    flag("no-tablespaces", None, Fine),
    flag("no-toast-compression", None, Fine),
    flag("no-unlogged-table-data", None, Fine),
    flag("on-conflict-do-nothing", None, INSERTS),
    flag("password", Some('W'), CONNECTION),
    with("port", Some('p'), CONNECTION),
    flag("quote-all-identifiers", None, Fine),
    with("restrict-key", None, Fine),
    with("role", None, Fine),
    with("rows-per-insert", None, INSERTS),
    with("schema", Some('n'), Partial),
    flag("schema-only", Some('s'), Partial),
    with("section", None, Partial),
    flag("sequence-data", None, Fine),
    flag("serializable-deferrable", None, Fine),
    with("snapshot", None, Fine),
    flag("statistics", None, Fine),
    flag("statistics-only", None, Partial),
    flag("strict-names", None, Fine),
    with("superuser", Some('S'), Fine),
    with("sync-method", None, Fine),
    with("table", Some('t'), Partial),
    with("table-and-children", None, Partial),
    flag("use-set-session-authorization", None, Fine),
    with("username", Some('U'), CONNECTION),
    flag("verbose", Some('v'), Fine),
    flag("version", Some('V'), NO_DUMP),
];

/// Checks a list of arguments. A fault comes with the index of the entry that is wrong.
pub(crate) fn check(args: Vec<String>) -> Result<DumpOptions, (usize, ValueFault)> {
    let mut partial = false;
    let mut index = 0;
    while let Some(arg) = args.get(index) {
        let next = args.get(index + 1).map(String::as_str);
        let taken = match arg.strip_prefix("--") {
            Some(long) => long_option(long, next),
            None => short_options(arg, next),
        };
        let taken = taken.map_err(|fault| (index, fault))?;
        partial |= taken.partial;
        index += if taken.next { 2 } else { 1 };
    }
    Ok(DumpOptions { args, partial })
}

#[derive(Default)]
struct Taken {
    partial: bool,
    /// The next entry is the argument of this one.
    next: bool,
}

fn long_option(text: &str, next: Option<&str>) -> Result<Taken, ValueFault> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    if name.is_empty() || name.contains(char::is_whitespace) {
        // what comes after the name may be a password
        let name = name.split_whitespace().next().unwrap_or_default();
        return Err(ValueFault::new(format!("holds \"--{name} …\", which is not an option")).hint(
            "write an option and its value as one entry, such as \"--exclude-table-data=audit.*\"",
        ));
    }
    // getopt takes any unambiguous beginning of a name, and which are so depends on the version: a
    // beginning that may stand for a refused option is refused
    let meant: Vec<&KnownOption> = match KNOWN.iter().find(|known| known.long == name) {
        Some(exact) => vec![exact],
        None => KNOWN
            .iter()
            .filter(|known| known.long.starts_with(name))
            .collect(),
    };
    for known in &meant {
        allowed(known, &format!("--{}", known.long))?;
    }
    let takes_next = value.is_none() && meant.iter().any(|known| known.takes_argument);
    if takes_next {
        argument(&format!("--{name}"), next)?;
    }
    Ok(Taken {
        partial: meant.iter().any(|known| matches!(known.meaning, Partial)),
        next: takes_next,
    })
}

fn short_options(text: &str, next: Option<&str>) -> Result<Taken, ValueFault> {
    let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
        // a connection string may hold a password
        let what = match text.contains(['=', ':']) {
            true => "is a connection string and not an option".to_string(),
            false => format!("is not an option, found {}", shown(text)),
        };
        return Err(ValueFault::new(what).hint("pg_dump would take it for the name of a database"));
    };
    let mut taken = Taken::default();
    for (at, letter) in letters.char_indices() {
        let Some(known) = KNOWN.iter().find(|known| known.short == Some(letter)) else {
            return Err(ValueFault::new(format!(
                "-{letter} is not an option of pg_dump"
            )));
        };
        allowed(known, &format!("-{letter} (--{})", known.long))?;
        taken.partial |= matches!(known.meaning, Partial);
        if known.takes_argument {
            let value = &letters[at + letter.len_utf8()..];
            if value.starts_with(char::is_whitespace) {
                return Err(ValueFault::new(format!(
                    "has a space between the option -{letter} and its value"
                ))
                .hint(format!("write \"--{}=VALUE\"", known.long)));
            }
            if value.is_empty() {
                argument(&format!("-{letter}"), next)?;
                taken.next = true;
            }
            break;
        }
    }
    Ok(taken)
}

fn allowed(known: &KnownOption, name: &str) -> Result<(), ValueFault> {
    match known.meaning {
        Refused(reason) => Err(ValueFault::new(format!("may not hold {name}")).hint(reason)),
        Fine | Partial => Ok(()),
    }
}

fn argument(option: &str, next: Option<&str>) -> Result<(), ValueFault> {
    match next {
        Some(next) if !next.starts_with('-') => Ok(()),
        _ => Err(ValueFault::new(format!("{option} has no value"))
            .hint("write an option and its value as one entry, such as \"--exclude-table=audit\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> Result<bool, String> {
        check(args.iter().map(|arg| arg.to_string()).collect())
            .map(|options| options.is_partial())
            .map_err(|(index, fault)| format!("{index}: {}", fault.what))
    }

    #[test]
    fn a_refused_option_is_found_in_every_spelling() {
        for args in [
            &["-Fc"][..],
            &["-F", "c"],
            &["-vFc"],
            &["--format=c"],
            &["--format", "c"],
            &["--form=c"],
            &["--fo", "c"],
            &["-f/tmp/x"],
            &["--fil=/tmp/x"],
            &["-bj4"],
            &["--jobs=4"],
            &["-Z9"],
            &["--compress=zstd"],
            &["-C"],
            &["-vC"],
            &["--create"],
            &["--inserts"],
            &["--column-in"],
            &["--rows-per-insert=1"],
            &["--on-conflict-do-nothing"],
            &["-dapp"],
            &["--dbname=postgres://u:p@h/d"],
            &["-hlocalhost"],
            &["-p5432"],
            &["-Ume"],
            &["-W"],
            &["-w"],
            &["--lock-wait-timeout=5"],
            &["--version"],
            &["-?"],
            &["app"],
            &["-"],
            &["--"],
            &["-T", "-Fc"],
            &["-T"],
            &["--exclude-table", "--inserts"],
            &["--exclude-table-data audit"],
            &["-T audit"],
        ] {
            assert!(run(args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn faults_name_the_option_and_its_place() {
        assert_eq!(
            run(&["-v", "-vFc"]).unwrap_err(),
            "1: may not hold -F (--format)"
        );
        assert_eq!(
            run(&["--comp=9"]).unwrap_err(),
            "0: may not hold --compress"
        );
        assert_eq!(
            run(&["-T", "a", "b"]).unwrap_err(),
            "2: is not an option, found \"b\""
        );
    }

    #[test]
    fn choosing_a_part_makes_the_backup_partial() {
        for args in [
            &["-t", "a"][..],
            &["-ta"],
            &["-vta"],
            &["--table=a"],
            &["--tab=a"],
            &["--table-and-children=a"],
            &["-n", "s"],
            &["--schema=s"],
            &["-e", "x"],
            &["-s"],
            &["--schema-only"],
            &["-a"],
            &["--data-only"],
            &["--section=data"],
            &["--filter=file"],
            &["--statistics-only"],
            &["--no-data"],
            &["--enable-row-security"],
        ] {
            assert_eq!(run(args), Ok(true), "{args:?}");
        }
        for args in [
            &[][..],
            &["--exclude-table-data=audit.*"],
            &["--exclude-table-data", "audit.*"],
            &["-T", "tmp", "-N", "s"],
            &["-vxO"],
            &["-Tt"],
            &["--role=reader"],
            &["--some-future-option=x"],
        ] {
            assert_eq!(run(args), Ok(false), "{args:?}");
        }
    }
}
