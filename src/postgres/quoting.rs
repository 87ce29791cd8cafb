//! Names, texts and connection strings, quoted so that nothing in them is read as anything else.

/// A name as SQL wants it.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Several names, as a statement lists them.
pub fn identifiers(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| identifier(name)).collect();
    quoted.join(", ")
}

/// A text as SQL wants it.
pub fn literal(text: &str) -> String {
    // standard_conforming_strings may be off
    match text.contains('\\') {
        true => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

/// A block of PL/pgSQL as a statement. psql looks for neither commands nor variables in it, and nothing in `body` ends it.
pub fn block_of(body: &str) -> String {
    let mut number = 0;
    loop {
        let quote = format!("$block{number}$");
        if !body.contains(&quote) {
            return format!("DO {quote}{body}\n{quote};\n");
        }
        number += 1;
    }
}

/// `texts` as an array of text.
pub fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let literals: Vec<String> = texts.into_iter().map(literal).collect();
    format!("ARRAY[{}]::text[]", literals.join(","))
}

/// A value of a connection string of libpq, such as `dbname='a b'`.
pub fn connection_value(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Percent-encoded, so that it means nothing in a URL but itself.
pub fn url_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_the_block() {
        let block = block_of("a $block0$ b");
        assert_eq!(block, "DO $block1$a $block0$ b\n$block1$;\n");
    }
}
