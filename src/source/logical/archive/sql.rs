//! The little SQL that a table of contents needs understood: the head of a COPY statement, the roles that grants and
//! policies name, and how the database was created. Only statements as pg_dump writes them are meant to be understood; of anything
//! else, less is found.

use crate::repository::manifest::TableName;

/// One word of a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// An unquoted word, as it is written.
    Word(String),
    /// A quoted identifier without its quotes.
    Quoted(String),
    /// A string literal without its quotes.
    Literal(String),
    /// Any other character.
    Mark(char),
}

/// The tokens of a statement.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    /// A backslash in plain quotes is doubled.
    escapes: bool,
}

impl Tokens<'_> {
    /// The text between the quote at `self.at` and its match, doubled quotes made single.
    fn quoted(&mut self, quote: char) -> String {
        let mut inside = String::new();
        let mut chars = self.text[self.at..].char_indices().skip(1).peekable();
        while let Some((offset, char)) = chars.next() {
            if char == quote {
                if chars.peek().is_none_or(|(_, next)| *next != quote) {
                    self.at += offset + 1;
                    return inside;
                }
                chars.next();
            }
            inside.push(char);
        }
        self.at = self.text.len();
        inside
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        let first = rest.chars().next()?;
        if first == '"' {
            return Some(Token::Quoted(self.quoted('"')));
        }
        if first == '\'' {
            let literal = self.quoted('\'');
            return Some(Token::Literal(match self.escapes {
                true => literal.replace("\\\\", "\\"),
                false => literal,
            }));
        }
        // all that pg_dump escapes there are quotes and backslashes, and it doubles both
        if rest.starts_with("E'") {
            self.at += 1;
            let literal = self.quoted('\'').replace("\\\\", "\\");
            return Some(Token::Literal(literal));
        }
        let in_word = |char: char| char.is_alphanumeric() || char == '_' || char == '$';
        let length = rest.find(|char| !in_word(char)).unwrap_or(rest.len());
        if length > 0 {
            self.at += length;
            return Some(Token::Word(rest[..length].to_owned()));
        }
        self.at += first.len_utf8();
        Some(Token::Mark(first))
    }
}

/// The tokens of `text`.
pub(super) fn tokens(text: &str) -> Tokens<'_> {
    Tokens {
        text,
        at: 0,
        escapes: false,
    }
}

/// The statements of a definition, in words. `escapes` says that a backslash in plain quotes is an escape.
pub(super) fn statements(definition: &str, escapes: bool) -> Vec<Vec<Token>> {
    let tokens = Tokens {
        escapes,
        ..tokens(definition)
    };
    let mut found = vec![Vec::new()];
    for token in tokens {
        match (token, found.last_mut()) {
            (Token::Mark(';'), _) => found.push(Vec::new()),
            (token, Some(statement)) => statement.push(token),
            (_, None) => {}
        }
    }
    found.retain(|statement| !statement.is_empty());
    found
}

/// Where a COPY statement loads its rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CopyStatement {
    /// The table after COPY; none for a statement that was not understood. Before 10.3 it has no schema.
    pub target: Option<(Option<String>, String)>,
    /// The text between the parentheses of the column list.
    pub columns: Option<String>,
}

/// Reads `COPY schema.table (columns) FROM stdin;`.
pub(super) fn copy(statement: &str) -> CopyStatement {
    let mut words = tokens(statement);
    let mut names = Vec::new();
    let _copy = words.next();
    while let Some(Token::Word(name) | Token::Quoted(name)) = words.next() {
        names.push(name);
        let before = words.at;
        if words.next() != Some(Token::Mark('.')) {
            words.at = before;
            break;
        }
    }
    let columns = (words.next() == Some(Token::Mark('(')))
        .then_some(words.at)
        .and_then(|begin| {
            words.find(|token| *token == Token::Mark(')'))?;
            Some(statement[begin..words.at - 1].to_owned())
        });
    let target = match (names.pop(), names.pop(), names.is_empty()) {
        (Some(name), schema, true) => Some((schema, name)),
        _ => None,
    };
    CopyStatement { target, columns }
}

impl CopyStatement {
    /// The partitioned table that rows of `table` are loaded through, if it is another one.
    pub fn root(&self, table: &TableName) -> Option<TableName> {
        let (schema, name) = self.target.as_ref()?;
        let root = TableName {
            schema: schema.clone().unwrap_or_else(|| table.schema.clone()),
            name: name.clone(),
        };
        (root != *table).then_some(root)
    }
}

/// The roles that an entry of kind `kind` names in its definition.
pub(super) fn roles(kind: &str, definition: &str) -> Vec<String> {
    // the words that roles follow in this kind of statement; keywords are upper-case, plain names never
    let leads: &[&str] = match kind {
        "ACL" => &["TO", "FROM", "AUTHORIZATION"],
        "DEFAULT ACL" => &["TO", "FROM", "ROLE"],
        "POLICY" => &["TO"],
        "USER MAPPING" => &["FOR"],
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    let mut words = tokens(definition);
    while let Some(token) = words.next() {
        match token {
            Token::Word(word) if leads.contains(&word.as_str()) => list(&mut words, &mut found),
            // the expressions of a policy may hold any word
            Token::Word(word) if kind == "POLICY" && matches!(&*word, "USING" | "WITH") => break,
            _ => {}
        }
    }
    found
}

/// Adds the names of a comma-separated list to `found`.
fn list(words: &mut Tokens<'_>, found: &mut Vec<String>) {
    loop {
        let before = words.at;
        match words.next() {
            Some(Token::Word(name)) if matches!(&*name, "PUBLIC" | "public") => {}
            Some(Token::Word(name) | Token::Quoted(name)) => found.push(name),
            _ => {
                words.at = before;
                return;
            }
        }
        let before = words.at;
        if words.next() != Some(Token::Mark(',')) {
            words.at = before;
            return;
        }
    }
}

/// What CREATE DATABASE says about encoding and locale, of all that it may say.
const LOCALE: [&str; 8] = [
    "ENCODING",
    "LOCALE_PROVIDER",
    "LOCALE",
    "LC_COLLATE",
    "LC_CTYPE",
    "ICU_LOCALE",
    "ICU_RULES",
    "BUILTIN_LOCALE",
];

/// Reads `CREATE DATABASE x WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc …;`.
pub(super) fn locale(definition: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut words = tokens(definition);
    while let Some(token) = words.next() {
        let Token::Word(name) = token else { continue };
        if !LOCALE.contains(&name.as_str()) || words.next() != Some(Token::Mark('=')) {
            continue;
        }
        if let Some(Token::Word(value) | Token::Literal(value)) = words.next() {
            found.push((name, value));
        }
    }
    found
}

/// Reads in which tablespace the same statement makes the database.
pub(super) fn tablespace(definition: &str) -> Option<String> {
    let mut words = tokens(definition);
    while let Some(token) = words.next() {
        if token != Token::Word("TABLESPACE".into()) || words.next() != Some(Token::Mark('=')) {
            continue;
        }
        return match words.next() {
            Some(Token::Word(name) | Token::Quoted(name) | Token::Literal(name)) => Some(name),
            _ => None,
        };
    }
    None
}

/// The names in a column list as a COPY statement has it, without SQL quotes.
pub fn column_names(list: &str) -> Vec<String> {
    let names = tokens(list).filter_map(|token| match token {
        Token::Word(name) | Token::Quoted(name) => Some(name),
        Token::Literal(_) | Token::Mark(_) => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_is_read_from_the_statement_and_from_nothing_else_in_it() {
        let pairs = |definition: &str| {
            let found = locale(definition).into_iter();
            let pairs = found.map(|(name, value)| format!("{name}={value}"));
            pairs.collect::<Vec<_>>()
        };
        assert_eq!(
            pairs(
                "CREATE DATABASE \"LC_CTYPE = 'x\" WITH TEMPLATE = template0 ENCODING = 'LATIN1' LOCALE_PROVIDER = icu \
                 LC_COLLATE = 'de_DE' LC_CTYPE = 'C' ICU_RULES = '& a < ''b''' TABLESPACE = fast;"
            ),
            [
                "ENCODING=LATIN1",
                "LOCALE_PROVIDER=icu",
                "LC_COLLATE=de_DE",
                "LC_CTYPE=C",
                "ICU_RULES=& a < 'b'"
            ]
        );
        assert_eq!(pairs("CREATE DATABASE x;"), [""; 0]);
    }

    #[test]
    fn the_tablespace_of_a_database_is_read_from_its_statement() {
        let read = |named: &str| {
            tablespace(&format!(
                "CREATE DATABASE \"TABLESPACE = x\" WITH TEMPLATE = template0 LC_CTYPE = 'TABLESPACE = y'{named};"
            ))
        };
        assert_eq!(read(" TABLESPACE = fast"), Some("fast".into()));
        assert_eq!(
            read(" TABLESPACE = \"Very \"\"fast\""),
            Some("Very \"fast".into())
        );
        assert_eq!(read(""), None);
    }

    #[test]
    fn columns_are_split_at_no_comma_of_their_names() {
        let names = column_names("a, \"b, \"\"c\"\"\", d");
        assert_eq!(names, ["a", "b, \"c\"", "d"]);
    }

    #[test]
    fn a_copy_statement_gives_its_table_and_columns_whatever_their_names() {
        let odd = copy(
            "COPY \"we\"\"ird\nschema\".\"ta\"\"b)le(\" (\"col (\"\"a\"\")\", b) FROM stdin;\n",
        );
        let name = |text: &str| Some(text.to_owned());
        assert_eq!(
            odd.target,
            Some((name("we\"ird\nschema"), "ta\"b)le(".into()))
        );
        assert_eq!(odd.columns, name("\"col (\"\"a\"\")\", b"));

        let bare = copy("COPY public.t  FROM stdin;\n");
        assert_eq!(bare.target, Some((name("public"), "t".into())));
        assert_eq!(bare.columns, None);

        let unqualified = copy("COPY t (a) FROM stdin;\n");
        assert_eq!(unqualified.target, Some((None, "t".into())));
        for nonsense in [
            "",
            "COPY",
            "COPY (",
            "\"",
            "COPY a.b.c.d (",
            "COPY x (\"",
            "'",
        ] {
            assert_eq!(copy(nonsense).columns, None, "{nonsense}");
        }
    }

    #[test]
    fn roles_are_found_behind_every_kind_of_grant() {
        assert_eq!(
            roles(
                "ACL",
                "REVOKE ALL ON FUNCTION public.\"TO\"(a text) FROM PUBLIC;\nSET SESSION AUTHORIZATION giver;\n\
                 GRANT SELECT(a),UPDATE ON TABLE s.t TO \"x \"\"y\"\"\" WITH GRANT OPTION;\nRESET SESSION AUTHORIZATION;\n"
            ),
            ["giver", "x \"y\""]
        );
        assert_eq!(
            roles(
                "DEFAULT ACL",
                "ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA s GRANT SELECT ON TABLES TO b;"
            ),
            ["a", "b"]
        );
        assert_eq!(
            roles(
                "POLICY",
                "CREATE POLICY p ON s.t FOR SELECT TO a, b USING ((x IN ( SELECT 1 FROM c)));"
            ),
            ["a", "b"]
        );
        assert_eq!(
            roles("POLICY", "CREATE POLICY p ON s.t USING ((x TO y));"),
            [""; 0]
        );
        assert_eq!(
            roles("USER MAPPING", "CREATE USER MAPPING FOR u SERVER s;"),
            ["u"]
        );
    }
}
