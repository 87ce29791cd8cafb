//! The statements about a database itself in an archive, read into values. They name the old database, and pg_dump 10 and
//! older wrote the comment alone.

use super::database::{DatabaseProperties, DatabaseProperty, EVERY_RIGHT, Grantee, Rights};
use super::sql::{self, Token};
use super::toc::TocEntry;
use std::collections::BTreeMap;

/// Reads what belongs to the database out of the entries of its archive.
pub(super) fn properties(entries: &[TocEntry]) -> DatabaseProperties {
    let escapes = entries.iter().any(|entry| {
        let definition = entry.definition.as_deref().unwrap_or_default();
        entry.kind == "STDSTRINGS" && definition.contains("'off'")
    });
    let owner = entries.iter().find(|entry| entry.kind == "DATABASE");
    let owner = owner.map_or("", |entry| &entry.owner);
    let mut properties = DatabaseProperties::default();
    let mut rights = RightsOfAll::at_first();
    let about = entries.iter().filter(|entry| entry.is_about_the_database());
    for entry in about.filter(|entry| entry.kind != "DATABASE") {
        let Some(definition) = entry.definition.as_deref() else {
            // longer than is kept
            properties
                .unknown
                .push(format!("{} {}", entry.kind, entry.tag));
            continue;
        };
        for statement in sql::statements(definition, escapes) {
            let statement = DatabaseStatement(&statement);
            let found = statement.property();
            let is_known = found.is_some() || statement.changes(&mut rights, owner);
            properties.known.extend(found);
            if !is_known {
                properties.unknown.push(statement.first_words());
            }
        }
    }
    properties.known.extend(rights.unusual());
    properties
}

/// What everyone may do, as statements change it.
struct RightsOfAll(BTreeMap<Grantee, Rights>);

impl RightsOfAll {
    fn at_first() -> RightsOfAll {
        let all = [Grantee::Public, Grantee::Owner];
        RightsOfAll(
            all.map(|grantee| (grantee.clone(), grantee.rights_at_first()))
                .into(),
        )
    }

    fn unusual(self) -> impl Iterator<Item = DatabaseProperty> {
        let all = self.0.into_iter();
        let unusual = all.filter(|(grantee, rights)| *rights != grantee.rights_at_first());
        unusual.map(|(grantee, rights)| DatabaseProperty::Rights(grantee, rights))
    }
}

/// One statement as pg_dump writes it, in words, without its semicolon.
struct DatabaseStatement<'a>(&'a [Token]);

/// Takes keywords off the front of a statement.
fn after<'a>(words: &'a [Token], keywords: &str) -> Option<&'a [Token]> {
    let mut rest = words;
    for keyword in keywords.split(' ') {
        match rest {
            [Token::Word(word), others @ ..] if word == keyword => rest = others,
            _ => return None,
        }
    }
    Some(rest)
}

/// Takes a name off the front of a statement.
fn name(words: &[Token]) -> Option<(&str, &[Token])> {
    match words {
        [Token::Word(name) | Token::Quoted(name), rest @ ..] => Some((name, rest)),
        _ => None,
    }
}

impl DatabaseStatement<'_> {
    fn first_words(&self) -> String {
        let words = self.0.iter().take(4).map(|token| match token {
            Token::Word(text) | Token::Quoted(text) | Token::Literal(text) => text.clone(),
            Token::Mark(mark) => mark.to_string(),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn property(&self) -> Option<DatabaseProperty> {
        if let Some(rest) = after(self.0, "ALTER DATABASE") {
            let (_, rest) = name(rest)?;
            return match rest {
                [Token::Word(is), Token::Mark('='), Token::Word(value)]
                    if is == "IS_TEMPLATE" && value == "true" =>
                {
                    Some(DatabaseProperty::Template)
                }
                _ => match after(rest, "CONNECTION LIMIT") {
                    Some([Token::Mark('='), Token::Word(limit)]) => {
                        limit.parse().ok().map(DatabaseProperty::ConnectionLimit)
                    }
                    _ => setting(None, rest),
                },
            };
        }
        if let Some(rest) = after(self.0, "ALTER ROLE") {
            let (role, rest) = name(rest)?;
            let (_, rest) = name(after(rest, "IN DATABASE")?)?;
            return setting(Some(role), rest);
        }
        if let Some(rest) = after(self.0, "COMMENT ON DATABASE") {
            return says(name(rest)?.1).map(DatabaseProperty::Comment);
        }
        let (provider, rest) = name(after(self.0, "SECURITY LABEL FOR")?)?;
        let text = says(name(after(rest, "ON DATABASE")?)?.1)?;
        Some(DatabaseProperty::Label(provider.to_string(), text))
    }

    /// Does to `rights` what the statement does. False for one that is about something else, or not understood.
    fn changes(&self, rights: &mut RightsOfAll, owner: &str) -> bool {
        // who gives is not kept: the owner does
        if after(self.0, "SET SESSION AUTHORIZATION").is_some()
            || after(self.0, "RESET SESSION AUTHORIZATION").is_some()
        {
            return true;
        }
        self.grant(rights, owner).is_some() || self.revoke(rights, owner).is_some()
    }

    fn grant(&self, of_all: &mut RightsOfAll, owner: &str) -> Option<()> {
        let (rights, rest) = listed_rights(after(self.0, "GRANT")?)?;
        let (grantee, rest) = grantee(after(rest, "TO")?, owner)?;
        let passes_on = match rest {
            [] => false,
            rest => after(rest, "WITH GRANT OPTION")?.is_empty(),
        };
        let of_one = of_all.0.entry(grantee).or_default();
        for right in rights {
            *of_one.entry(right.to_string()).or_default() |= passes_on;
        }
        Some(())
    }

    fn revoke(&self, of_all: &mut RightsOfAll, owner: &str) -> Option<()> {
        let rest = after(self.0, "REVOKE")?;
        let only_option = after(rest, "GRANT OPTION FOR");
        let (rights, rest) = listed_rights(only_option.unwrap_or(rest))?;
        let (grantee, rest) = grantee(after(rest, "FROM")?, owner)?;
        if !rest.is_empty() {
            return None;
        }
        let of_one = of_all.0.entry(grantee).or_default();
        for right in rights {
            match (only_option, of_one.get_mut(right)) {
                (Some(_), Some(passes_on)) => *passes_on = false,
                (Some(_), None) => {}
                (None, _) => drop(of_one.remove(right)),
            }
        }
        Some(())
    }
}

/// `SET name TO value, value`
fn setting(role: Option<&str>, words: &[Token]) -> Option<DatabaseProperty> {
    let (parameter, rest) = name(after(words, "SET")?)?;
    let mut values = Vec::new();
    for (at, token) in after(rest, "TO")?.iter().enumerate() {
        match (at % 2, token) {
            (0, Token::Literal(value)) => values.push(value.clone()),
            (1, Token::Mark(',')) => {}
            _ => return None,
        }
    }
    (!values.is_empty()).then(|| DatabaseProperty::Setting {
        role: role.map(str::to_string),
        name: parameter.to_string(),
        values,
    })
}

/// `IS 'text'`
fn says(words: &[Token]) -> Option<String> {
    match after(words, "IS")? {
        [Token::Literal(text)] => Some(text.clone()),
        _ => None,
    }
}

/// `CREATE,CONNECT ON DATABASE name`
fn listed_rights(words: &[Token]) -> Option<(Vec<&'static str>, &[Token])> {
    let mut found = Vec::new();
    let mut rest = words;
    loop {
        let (right, behind) = name(rest)?;
        match right {
            "ALL" => found.extend(EVERY_RIGHT),
            "TEMP" => found.push("TEMPORARY"),
            _ => found.push(*EVERY_RIGHT.iter().find(|known| **known == right)?),
        }
        rest = match behind {
            [Token::Mark(','), behind @ ..] => behind,
            _ => return Some((found, name(after(behind, "ON DATABASE")?)?.1)),
        };
    }
}

fn grantee<'a>(words: &'a [Token], owner: &str) -> Option<(Grantee, &'a [Token])> {
    let (role, rest) = name(words)?;
    let grantee = match &words[0] {
        Token::Word(word) if word == "PUBLIC" => Grantee::Public,
        _ if role == owner => Grantee::Owner,
        _ => Grantee::Role(role.to_string()),
    };
    Some((grantee, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, tag: &str, definition: &str) -> TocEntry {
        TocEntry {
            kind: kind.into(),
            tag: tag.into(),
            definition: Some(definition.into()),
            owner: "own".into(),
            ..TocEntry::default()
        }
    }

    #[test]
    fn all_that_pg_dump_writes_of_a_database_is_read_into_values() {
        let entries = [
            entry(
                "STDSTRINGS",
                "STDSTRINGS",
                "SET standard_conforming_strings = 'on';",
            ),
            entry("DATABASE", "d", "CREATE DATABASE d;"),
            entry(
                "COMMENT",
                "DATABASE d",
                "COMMENT ON DATABASE d IS 'the \\ sh''op\n;';",
            ),
            entry(
                "SECURITY LABEL",
                "DATABASE d",
                "SECURITY LABEL FOR \"a b\" ON DATABASE d IS 'x';\n",
            ),
            entry(
                "DATABASE PROPERTIES",
                "d",
                "ALTER DATABASE \"d;\" CONNECTION LIMIT = 0;\nALTER DATABASE d IS_TEMPLATE = true;\n\
                 ALTER DATABASE d SET \"app.tenant\" TO E'a\\\\b''c';\n\
                 ALTER DATABASE d SET search_path TO 'A b', 'public', '';\n\
                 ALTER ROLE \"Odd \"\"r\" IN DATABASE d SET work_mem TO '5MB';\nALTER DATABASE d DANCE;",
            ),
            entry(
                "ACL",
                "DATABASE d",
                "REVOKE CONNECT,TEMPORARY ON DATABASE d FROM PUBLIC;\nGRANT TEMPORARY ON DATABASE d TO PUBLIC;\n\
                 GRANT CREATE ON DATABASE d TO \"PUBLIC\" WITH GRANT OPTION;\nREVOKE ALL ON DATABASE d FROM own;\n\
                 SET SESSION AUTHORIZATION x;\nGRANT CONNECT ON DATABASE d TO app;\nRESET SESSION AUTHORIZATION;\n",
            ),
        ];
        let found = properties(&entries);
        assert!(DatabaseProperties::closes(&found.known));
        assert_eq!(found.unknown, ["ALTER DATABASE d DANCE"]);
        let setting = |role: Option<&str>, name: &str, values: &[&str]| DatabaseProperty::Setting {
            role: role.map(str::to_string),
            name: name.into(),
            values: values.iter().map(|value| value.to_string()).collect(),
        };
        let right = |name: &str, passes_on: bool| Rights::from([(name.to_string(), passes_on)]);
        let role = |name: &str| Grantee::Role(name.into());
        assert_eq!(
            found.known,
            [
                DatabaseProperty::Comment("the \\ sh'op\n;".into()),
                DatabaseProperty::Label("a b".into(), "x".into()),
                DatabaseProperty::ConnectionLimit(0),
                DatabaseProperty::Template,
                setting(None, "app.tenant", &["a\\b'c"]),
                setting(None, "search_path", &["A b", "public", ""]),
                setting(Some("Odd \"r"), "work_mem", &["5MB"]),
                DatabaseProperty::Rights(Grantee::Public, right("TEMPORARY", false)),
                DatabaseProperty::Rights(Grantee::Owner, Rights::new()),
                DatabaseProperty::Rights(role("PUBLIC"), right("CREATE", true)),
                DatabaseProperty::Rights(role("app"), right("CONNECT", false)),
            ]
        );
    }

    #[test]
    fn rights_that_are_written_but_not_unusual_are_none() {
        let found = properties(&[
            entry("DATABASE", "d", "CREATE DATABASE d;"),
            entry(
                "ACL",
                "DATABASE d",
                "REVOKE ALL ON DATABASE d FROM PUBLIC;\nREVOKE ALL ON DATABASE d FROM own;\n\
                 GRANT ALL ON DATABASE d TO own;\nGRANT CONNECT,TEMPORARY ON DATABASE d TO PUBLIC;\n",
            ),
        ]);
        assert_eq!(found, DatabaseProperties::default());
    }

    #[test]
    fn where_a_backslash_is_an_escape_it_is_doubled() {
        let found = properties(&[
            entry(
                "STDSTRINGS",
                "STDSTRINGS",
                "SET standard_conforming_strings = 'off';",
            ),
            entry(
                "COMMENT",
                "DATABASE d",
                "COMMENT ON DATABASE d IS 'a\\\\b';",
            ),
        ]);
        let comment = DatabaseProperty::Comment("a\\b".into());
        assert_eq!(found.known, [comment]);
    }
}
