//! psql's `\connect` as pg_dump writes it: to another database, and to nothing else.
//!
//! Other arguments could name another server, which would be told our password, and run programs between backquotes.

/// The database that the arguments of `\connect` name; none where they are not as pg_dump writes them.
pub(super) fn database(arguments: &[u8]) -> Option<Vec<u8>> {
    let text = arguments.trim_ascii();
    if let Some(rest) = text.strip_prefix(b"-reuse-previous=on ") {
        let connection = quoted(rest.trim_ascii())?;
        return value(connection.strip_prefix(b"dbname=")?);
    }
    let name = match text.first()? {
        b'"' => quoted(text)?,
        b'-' => return None,
        _ => text
            .iter()
            .all(|byte| is_plain(*byte))
            .then(|| text.to_vec())?,
    };
    // psql takes such a name for a whole connection
    let is_connection = name.contains(&b'=') || name.windows(3).any(|part| part == b"://");
    (!name.is_empty() && !is_connection).then_some(name)
}

/// `\connect` to that database of the same server.
pub(super) fn command(database: &[u8]) -> Vec<u8> {
    let mut command = b"\\connect -reuse-previous=on \"dbname='".to_vec();
    for &byte in database {
        match byte {
            b'\\' | b'\'' => command.extend([b'\\', byte]),
            b'"' => command.extend(b"\"\""),
            _ => command.push(byte),
        }
    }
    command.extend(b"'\"\n");
    command
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"_-.$".contains(&byte)
}

/// What stands between double quotes, which are doubled within it, if that is all there is.
fn quoted(text: &[u8]) -> Option<Vec<u8>> {
    let inner = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut found = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        if byte == b'"' && bytes.next() != Some(&b'"') {
            return None;
        }
        found.push(byte);
    }
    Some(found)
}

/// A value of a connection string in single quotes, if that is all there is.
fn value(text: &[u8]) -> Option<Vec<u8>> {
    let inner = text.strip_prefix(b"'")?.strip_suffix(b"'")?;
    let mut found = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\'' => return None,
            b'\\' => found.push(*bytes.next()?),
            _ => found.push(byte),
        }
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_database_of_the_same_server_is_connected_to() {
        let found =
            |text: &str| database(text.as_bytes()).map(|name| String::from_utf8(name).unwrap());
        for (text, name) in [
            ("template1", "template1"),
            (" \"a b\"\"c\" ", "a b\"c"),
            (r#"-reuse-previous=on "dbname='a=''""#, ""),
            (r#"-reuse-previous=on "dbname='a=\'b\\'""#, r"a='b\"),
        ] {
            assert_eq!(found(text).unwrap_or_default(), name, "{text}");
        }
        for text in [
            "",
            "a b",
            "- other",
            "`id`",
            ":v",
            "host=x",
            "\"host=x\"",
            "postgresql://x/y",
            "\"postgresql://x/y\"",
            "a | b",
            r#"-reuse-previous=on "dbname='a' host='b'""#,
            r#"-reuse-previous=on "dbname='a'" other"#,
            r#"-reuse-previous=off "dbname='a'""#,
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_read_is_written_so_that_it_is_read_alike() {
        let name = br#"a=' "b\"#;
        let line = command(name);
        let arguments = line.strip_prefix(b"\\connect ").unwrap();
        assert_eq!(database(arguments).unwrap(), name);
    }
}
