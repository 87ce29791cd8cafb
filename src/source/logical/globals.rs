//! Roles, which belong to a server and to none of its databases: pg_dumpall writes them, and a restore makes those that
//! are missing.

use crate::cancel::Cancel;
use crate::cause::FailureCause;
use crate::error::{Error, Result};
use crate::postgres::encoding::Encoding;
use crate::postgres::explain;
use crate::postgres::quoting::{block_of, literal};
use crate::postgres::session::Session;
use crate::postgres::tools::Tool;
use crate::process::ChildOutput;
use crate::text::ours;
use std::collections::BTreeSet;

/// Starts `pg_dumpall --globals-only`. Without `passwords` it asks for nothing that only superusers may read.
pub fn dump(
    pg_dumpall: &Tool,
    session: &Session,
    passwords: bool,
    cancel: &Cancel,
) -> Result<ChildOutput> {
    let mut command = session.command(&pg_dumpall.path, "backupkit");
    command.args(["--globals-only", "--no-password"]);
    if !passwords {
        command.arg("--no-role-passwords");
    }
    // it takes the server from the one, and the database to ask in from the other
    command.arg(session.database_argument());
    command.arg(format!("--database={}", session.database_as_string()));
    ChildOutput::spawn("pg_dumpall", command, cancel, explain::client)
}

/// True of a failure that was the server keeping the passwords of its roles to itself.
pub fn passwords_are_forbidden(error: &Error) -> bool {
    error.cause() == Some(FailureCause::PasswordsForbidden)
}

/// What pg_dumpall wrote, as text, and the encoding that it says it is in.
pub fn text(bytes: &[u8]) -> (String, String) {
    const LEAD: &[u8] = b"SET client_encoding = '";
    let found = bytes
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(LEAD)?.strip_suffix(b"';"));
    let name = found.and_then(|name| std::str::from_utf8(name).ok());
    let is_name = |name: &&str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let name = name.filter(is_name).unwrap_or("UTF8");
    (Encoding::named(name).decode(bytes), name.to_string())
}

/// What is missing on a server of what `pg_dumpall --globals-only` wrote.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// The statements that make the missing roles, in order.
    pub statements: Vec<String>,
    /// The roles that they make.
    pub roles: Vec<String>,
    /// Memberships that would change a role that exists: the role, and who is not made a member of it.
    pub memberships: Vec<(String, String)>,
    /// Tablespaces, which lie in directories of the old machine and are for people to make.
    pub tablespaces: Vec<String>,
}

impl Missing {
    /// Picks out of `text` what makes roles that are not among `existing`. A role that exists stays as it is: neither its
    /// password nor its settings are touched, and it becomes a member of none; a role that is made becomes a member of
    /// what it was a member of. Settings are left out: they are of pg_dumpall's session. A statement that is
    /// not as pg_dumpall writes it is an error, since it may be more than it seems to be.
    pub fn of(text: &str, existing: &BTreeSet<String>) -> Result<Missing> {
        let mut missing = Missing::default();
        for statement in statements(text) {
            let about = |lead: &str| name(statement.strip_prefix(lead)?);
            if let Some(role) = about("CREATE ROLE ") {
                if existing.contains(&role) {
                    continue;
                }
                missing.roles.push(role);
            } else if let Some(role) = about("ALTER ROLE ").or_else(|| about("COMMENT ON ROLE ")) {
                if !missing.roles.contains(&role) {
                    continue;
                }
            } else if let Some((role, member)) = membership(statement) {
                if !missing.roles.contains(&member) {
                    // two roles that exist may well be that already
                    if missing.roles.contains(&role) {
                        missing.memberships.push((role, member));
                    }
                    continue;
                }
            } else if let Some(tablespace) = about("CREATE TABLESPACE ") {
                missing.tablespaces.push(tablespace);
                continue;
            } else {
                continue;
            }
            if !is_plain(statement) {
                return Err(Error::damaged(
                    "the roles beside the backup are not as pg_dumpall writes them: a statement holds more than one",
                )
                .hint(format!(
                    "somebody may have changed them: see them with {}, or restore without --globals",
                    ours::command("cat --globals BACKUP")
                )));
            }
            missing.statements.push(statement.to_string());
        }
        Ok(missing)
    }

    /// The statements as SQL for psql, which sees nothing of them but a quoted text.
    pub fn script(&self) -> String {
        let execute = |statement: &String| format!("EXECUTE {};\n", literal(statement));
        let body: String = self.statements.iter().map(execute).collect();
        block_of(&format!("\nBEGIN\n{body}END"))
    }
}

/// True where the server sees one statement, ended by the same semicolon: outside of quotes there are words, and in a
/// text every backslash is doubled, so that no comment, no quote of another kind and no escape moves the end of it.
fn is_plain(statement: &str) -> bool {
    let Some(mut rest) = statement.strip_suffix(';') else {
        return false;
    };
    while let Some(open) = rest.find(['\'', '"']) {
        let (words, quoted) = rest.split_at(open);
        let quote = &quoted[..1];
        let Some(end) = quoted[1..].find(quote) else {
            return false;
        };
        let inner = &quoted[1..=end];
        if !are_words(words)
            || quote == "'" && without_bytes(inner).replace("\\\\", "").contains('\\')
        {
            return false;
        }
        rest = &quoted[end + 2..];
    }
    are_words(rest)
}

/// `text` without the bytes that are no text, which stand there as `\xNN` (see [`Encoding`]).
fn without_bytes(text: &str) -> String {
    let mut pieces = text.split("\\x");
    let mut kept = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        let digits = piece.as_bytes().get(..2).unwrap_or_default();
        match digits {
            [b'8'..=b'9' | b'a'..=b'f', b'0'..=b'9' | b'a'..=b'f'] => kept += &piece[2..],
            _ => kept = kept + "\\x" + piece,
        }
    }
    kept
}

fn are_words(text: &str) -> bool {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "_, \n".contains(char);
    text.chars().all(is_plain)
}

/// Role and member of `GRANT role TO member …`; none for a grant on something.
fn membership(statement: &str) -> Option<(String, String)> {
    let rest = statement.strip_prefix("GRANT ")?;
    let role = name(rest)?;
    let rest = &rest[identifier_length(rest)..];
    Some((role, name(rest.strip_prefix(" TO ")?)?))
}

/// The identifier at the start of `text`, without its quotes.
fn name(text: &str) -> Option<String> {
    let word = &text[..identifier_length(text)];
    let name = match word
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
    {
        Some(inner) => inner.replace("\"\"", "\""),
        None => word.to_string(),
    };
    (!name.is_empty()).then_some(name)
}

fn identifier_length(text: &str) -> usize {
    if !text.starts_with('"') {
        return text.find([' ', ';', '\n']).unwrap_or(text.len());
    }
    let mut end = 1;
    while let Some(quote) = text[end..].find('"') {
        end += quote + 1;
        match text[end..].starts_with('"') {
            true => end += 1,
            false => return end,
        }
    }
    text.len()
}

/// The statements of pg_dumpall's text, each with its semicolon; comments and commands of psql are left out. It doubles
/// quotes and backslashes, so a quote of either kind goes on to the next one of its kind.
fn statements(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if rest.starts_with("--") || rest.starts_with('\\') {
            rest = rest
                .split_once('\n')
                .map_or("", |(_, rest)| rest)
                .trim_start();
            continue;
        }
        let mut quote = None;
        let end = rest.find(|char| {
            match (quote, char) {
                (None, ';') => return true,
                (None, '\'' | '"') => quote = Some(char),
                (Some(open), char) if open == char => quote = None,
                _ => {}
            }
            false
        });
        let end = end.map_or(rest.len(), |at| at + 1);
        found.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"--
-- PostgreSQL database cluster dump
--

\restrict abc

SET default_transaction_read_only = off;

CREATE ROLE app;
ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:a;b''c';
CREATE ROLE "odd ""one""; -- no";
ALTER ROLE "odd ""one""; -- no" WITH NOLOGIN;
COMMENT ON ROLE "odd ""one""; -- no" IS 'a
-- b;';
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER PASSWORD 'md5';

--
-- User Config "app"
--

ALTER ROLE app SET work_mem TO '1MB';
GRANT app TO "odd ""one""; -- no" WITH INHERIT TRUE GRANTED BY postgres;
GRANT app TO postgres GRANTED BY postgres;
GRANT there TO app GRANTED BY postgres;
GRANT there TO postgres GRANTED BY postgres;
CREATE TABLESPACE fast OWNER app LOCATION '/mnt/fast';
GRANT ALL ON TABLESPACE fast TO app;
\unrestrict abc
"#;

    #[test]
    fn only_what_makes_missing_roles_is_run() {
        let existing = BTreeSet::from(["postgres".to_string(), "there".to_string()]);
        let missing = Missing::of(TEXT, &existing).unwrap();
        assert_eq!(missing.roles, ["app", "odd \"one\"; -- no"]);
        let told = ("app".to_string(), "postgres".to_string());
        assert_eq!(missing.memberships, [told]);
        assert_eq!(missing.tablespaces, ["fast"]);
        assert_eq!(
            missing.statements,
            [
                "CREATE ROLE app;",
                "ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:a;b''c';",
                "CREATE ROLE \"odd \"\"one\"\"; -- no\";",
                "ALTER ROLE \"odd \"\"one\"\"; -- no\" WITH NOLOGIN;",
                "COMMENT ON ROLE \"odd \"\"one\"\"; -- no\" IS 'a\n-- b;';",
                "ALTER ROLE app SET work_mem TO '1MB';",
                "GRANT app TO \"odd \"\"one\"\"; -- no\" WITH INHERIT TRUE GRANTED BY postgres;",
                "GRANT there TO app GRANTED BY postgres;",
            ]
        );
    }

    #[test]
    fn a_role_that_exists_is_never_changed() {
        let existing = ["postgres", "there", "app", "odd \"one\"; -- no"].map(String::from);
        let missing = Missing::of(TEXT, &existing.into()).unwrap();
        assert_eq!(
            missing,
            Missing {
                tablespaces: vec!["fast".into()],
                ..Missing::default()
            }
        );
    }

    #[test]
    fn names_in_any_encoding_are_told_apart_from_escapes() {
        let of = |encoding: &str, rest: &[u8]| {
            let head = format!("-- x\n\nSET client_encoding = '{encoding}';\n");
            let (text, named) = text(&[head.as_bytes(), rest].concat());
            assert_eq!(named, encoding);
            let made = Missing::of(&text, &BTreeSet::new());
            made.map(|missing| Encoding::named(&named).encode(&missing.statements.join("")))
        };
        for encoding in ["LATIN1", "SQL_ASCII", "EUC_JP", "EUC_TW"] {
            let fine = b"CREATE ROLE \"gr\xf6\xdf\\xf6\";COMMENT ON ROLE \"gr\xf6\xdf\\xf6\" IS E'\xf6 \\\\xf6';";
            assert_eq!(of(encoding, fine).unwrap(), fine, "{encoding}");
            let escape = b"CREATE ROLE evil PASSWORD '\\xf6';";
            assert!(of(encoding, escape).is_err(), "{encoding}");
        }
        assert_eq!(text(b"SET client_encoding = 'a\\b';").1, "UTF8");
    }

    #[test]
    fn a_statement_that_may_hold_another_is_refused() {
        for text in [
            "CREATE ROLE evil \\! id\n;",
            "CREATE ROLE evil",
            "CREATE ROLE evil PASSWORD '\\'; x';",
            "CREATE ROLE evil PASSWORD '' E'\\''; x; --';",
            "CREATE ROLE evil -- '\n; x; --';",
            "CREATE ROLE evil /* ' */; x; --';",
            "CREATE ROLE evil PASSWORD $$'$$; x; --';",
            "CREATE ROLE evil \u{a0};",
            "CREATE ROLE \"evil;",
        ] {
            let found = Missing::of(text, &BTreeSet::new());
            assert!(found.is_err(), "{text}: {found:?}");
        }
        let fine = "CREATE ROLE \"a\\b $ -- \";\nCOMMENT ON ROLE \"a\\b $ -- \" IS  E'it''s \\\\! $$ /* \\\\';";
        let found = Missing::of(fine, &BTreeSet::new()).unwrap();
        assert_eq!(found.statements.join("\n"), fine);
    }
}
