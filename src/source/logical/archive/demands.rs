//! What the server demands of the role that runs a definition, and of itself, beside the right to create in a schema.
//!
//! Read off definitions as pg_dump writes them, as far as rights depend on more than the kind of object; of anything else,
//! less is found. Keywords are upper-case there, plain names never.

use super::sql::{Token, Tokens, tokens};

/// Something that not every role may do, or not every server can.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// To be a superuser.
    Superuser,
    /// To be the owner of one of these types, `schema.name`; those of the server itself are left out.
    OwnType(Vec<String>),
    /// To use this language.
    Language(String),
    /// To set this parameter.
    Parameter(String),
    /// To create in the database.
    CreateOnDatabase,
    /// To use this foreign data wrapper.
    Wrapper(String),
    /// To use this foreign server.
    Server(String),
    /// To read files of the server, where the foreign server is one of files.
    ServerFiles,
    /// To make subscriptions.
    Subscription,
    /// Not a right: the schema that an extension is made in.
    InSchema(String),
    /// To act for this role.
    Role(String),
    /// A server that has loaded this provider of security labels.
    LabelProvider(String),
    /// Not a right of who restores: its owner has to be allowed to call functions that are not the server's own, as which it is
    /// computed.
    Computed,
    /// Not a right: operators that compare what an exclusion constraint is over, which may be an extension's.
    Excludes,
    /// A server of this major version, for the sake of what is named.
    Major(u32, &'static str),
}

/// True of a kind whose definition has to be seen to know what it demands.
pub(super) fn depends_on_the_definition(kind: &str) -> bool {
    matches!(
        kind,
        "FUNCTION"
            | "PROCEDURE"
            | "AGGREGATE"
            | "TYPE"
            | "CAST"
            | "PUBLICATION"
            | "PUBLICATION TABLE"
            | "SUBSCRIPTION"
            | "SERVER"
            | "FOREIGN TABLE"
            | "TABLE"
            | "VIEW"
            | "INDEX"
            | "CONSTRAINT"
            | "CHECK CONSTRAINT"
            | "FK CONSTRAINT"
            | "COLLATION"
            | "EVENT TRIGGER"
            | "EXTENSION"
            | "ACL"
            | "DEFAULT ACL"
            | "SECURITY LABEL"
    )
}

/// What an entry of kind `kind` with this definition demands.
pub(super) fn demands(kind: &str, definition: &str) -> Vec<Demand> {
    match kind {
        "FUNCTION" | "PROCEDURE" => function(definition),
        "AGGREGATE" => aggregate(definition),
        "TYPE" => base_type(definition),
        "CAST" => cast(definition),
        "PUBLICATION" => publication(definition),
        "SUBSCRIPTION" => subscription(definition),
        "SERVER" => named_after(definition, "WRAPPER", Demand::Wrapper),
        "FOREIGN TABLE" => foreign_table(definition),
        "EXTENSION" => named_after(definition, "SCHEMA", Demand::InSchema),
        "DEFAULT ACL" => named_after(definition, "ROLE", Demand::Role),
        "SECURITY LABEL" => named_after(definition, "FOR", Demand::LabelProvider),
        // rights that someone else granted are granted in that one's name
        "ACL" if holds(definition, &["SET", "SESSION", "AUTHORIZATION"]) => vec![Demand::Superuser],
        "PUBLICATION TABLES IN SCHEMA" => {
            vec![
                Demand::Superuser,
                Demand::Major(15, "publications of schemas"),
            ]
        }
        "PUBLICATION TABLE" => published_table(definition),
        "EVENT TRIGGER" => {
            let mut found = vec![Demand::Superuser];
            if holds(definition, &["ON", "login"]) {
                found.push(Demand::Major(17, "event triggers on login"));
            }
            found
        }
        "CONSTRAINT" if holds(definition, &["EXCLUDE", "USING"]) => {
            let mut found = newer(kind, definition);
            found.push(Demand::Excludes);
            found
        }
        "TABLE" | "VIEW" | "INDEX" | "CONSTRAINT" | "CHECK CONSTRAINT" | "FK CONSTRAINT"
        | "COLLATION" => newer(kind, definition),
        "OPERATOR CLASS"
        | "OPERATOR FAMILY"
        | "TEXT SEARCH PARSER"
        | "TEXT SEARCH TEMPLATE"
        | "FOREIGN DATA WRAPPER"
        | "ACCESS METHOD"
        | "PROCEDURAL LANGUAGE"
        | "SHELL TYPE"
        | "TRANSFORM" => vec![Demand::Superuser],
        _ => Vec::new(),
    }
}

/// The tokens outside of all parentheses.
fn outside(definition: &str) -> impl Iterator<Item = Token> {
    let mut depth = 0usize;
    tokens(definition).filter(move |token| {
        match token {
            Token::Mark('(') => depth += 1,
            Token::Mark(')') => {
                depth = depth.saturating_sub(1);
                return false;
            }
            _ => {}
        }
        depth == 0
    })
}

/// True where these words stand after each other.
fn holds(definition: &str, words: &[&str]) -> bool {
    let mut matched = 0;
    for token in tokens(definition) {
        let is = |word: &str| matches!(&token, Token::Word(found) if found == word);
        matched = match (is(words[matched]), is(words[0])) {
            (true, _) => matched + 1,
            (false, true) => 1,
            _ => 0,
        };
        if matched == words.len() {
            return true;
        }
    }
    false
}

fn name(token: Option<Token>) -> Option<String> {
    match token {
        Some(Token::Word(name) | Token::Quoted(name)) => Some(name),
        _ => None,
    }
}

/// What follows the keyword `lead`, outside of parentheses.
fn named_after(definition: &str, lead: &str, demand: fn(String) -> Demand) -> Vec<Demand> {
    let mut words = outside(definition);
    let found = words.any(|token| token == Token::Word(lead.into()));
    let named = found.then(|| name(words.next())).flatten();
    named.map(demand).into_iter().collect()
}

/// Up to its body.
fn function(definition: &str) -> Vec<Demand> {
    let mut found = Vec::new();
    let mut words = outside(definition);
    while let Some(token) = words.next() {
        let Token::Word(word) = token else { continue };
        match word.as_str() {
            "AS" | "BEGIN" | "RETURN" => break,
            "LANGUAGE" => found.extend(name(words.next()).map(Demand::Language)),
            "LEAKPROOF" | "SUPPORT" => found.push(Demand::Superuser),
            "SET" => found.extend(name(words.next()).map(Demand::Parameter)),
            _ => {}
        }
    }
    found
}

fn aggregate(definition: &str) -> Vec<Demand> {
    let mut words = tokens(definition);
    while let Some(token) = words.next() {
        let is_state = matches!(&token, Token::Word(word) if word == "STYPE" || word == "MSTYPE");
        if is_state
            && words.next() == Some(Token::Mark('='))
            && words.next() == Some(Token::Word("internal".into()))
        {
            return vec![Demand::Superuser];
        }
    }
    Vec::new()
}

/// `CREATE TYPE a.b AS …` may be anybody's; what goes without AS is a base type, or the promise of one.
fn base_type(definition: &str) -> Vec<Demand> {
    // one that was too long to be kept lists labels or fields
    match definition.is_empty()
        || outside(definition).any(|token| token == Token::Word("AS".into()))
    {
        true => Vec::new(),
        false => vec![Demand::Superuser],
    }
}

/// `CREATE CAST (a AS b.c) WITH …`.
fn cast(definition: &str) -> Vec<Demand> {
    let mut words = tokens(definition);
    let mut types = Vec::new();
    let mut before = None;
    while let Some(token) = words.next() {
        match token {
            Token::Mark(')') => break,
            Token::Mark('.') => {
                if let (Some(schema), Some(name)) = (before.take(), name(words.next())) {
                    types.push(format!("{schema}.{name}"));
                }
            }
            other => before = name(Some(other)),
        }
    }
    let mut found = vec![Demand::OwnType(types)];
    if holds(definition, &["WITHOUT", "FUNCTION"]) {
        found.push(Demand::Superuser);
    }
    found
}

fn publication(definition: &str) -> Vec<Demand> {
    let mut found = vec![Demand::CreateOnDatabase];
    if holds(definition, &["FOR", "ALL", "TABLES"]) {
        found.push(Demand::Superuser);
    }
    found
}

/// `ALTER PUBLICATION p ADD TABLE ONLY a.b (column, …) WHERE (…)`.
fn published_table(definition: &str) -> Vec<Demand> {
    match tokens(definition).any(|token| token == Token::Mark('(')) {
        true => vec![Demand::Major(15, "publications of some columns or rows")],
        false => Vec::new(),
    }
}

/// `CREATE SUBSCRIPTION s CONNECTION '…' PUBLICATION p WITH (…)`.
fn subscription(definition: &str) -> Vec<Demand> {
    let mut found = vec![Demand::Subscription];
    let connection = tokens(definition).find_map(|token| match token {
        Token::Literal(text) => Some(text),
        _ => None,
    });
    let waived = {
        let mut words = tokens(definition);
        words.any(|token| token == Token::Word("password_required".into()))
            && words.next() == Some(Token::Mark('='))
            && words.next() == Some(Token::Word("false".into()))
    };
    if waived || !connection.is_some_and(|text| has_password(&text)) {
        found.push(Demand::Superuser);
    }
    for (option, major) in [
        ("failover", 17),
        ("origin", 16),
        ("two_phase", 15),
        ("disable_on_error", 15),
        ("max_retention_duration", 19),
        ("parallel", 16),
    ] {
        let named = tokens(definition).any(|token| match token {
            Token::Word(word) | Token::Literal(word) => word == option,
            _ => false,
        });
        if named {
            found.push(Demand::Major(
                major,
                "the settings that subscriptions have there",
            ));
            break;
        }
    }
    found
}

/// True of `CREATE INDEX ... USING method (a.f(...))`: those of the server itself stand without a schema.
fn calls_functions(definition: &str) -> bool {
    let is_name = |token: &Token| matches!(token, Token::Word(_) | Token::Quoted(_));
    let is_using = |token: &Token| matches!(token, Token::Word(word) if word == "USING");
    let tokens: Vec<Token> = tokens(definition).skip_while(|it| !is_using(it)).collect();
    tokens.windows(4).any(|of| match of {
        [schema, Token::Mark('.'), name, Token::Mark('(')] => is_name(schema) && is_name(name),
        _ => false,
    })
}

/// True of a connection string, or URL, with a password in it.
fn has_password(connection: &str) -> bool {
    let in_url = || {
        let (_, rest) = connection.split_once("://")?;
        let (login, _) = rest.split_once('@')?;
        Some(login.contains(':'))
    };
    let keywords = connection.split('=').map(str::trim_end);
    let mut last_words = keywords.map(|part| part.rsplit([' ', '?', '&']).next());
    in_url() == Some(true) || last_words.any(|word| word == Some("password"))
}

/// `CREATE FOREIGN TABLE a.b (…) SERVER s OPTIONS (…)`.
fn foreign_table(definition: &str) -> Vec<Demand> {
    let mut found = named_after(definition, "SERVER", Demand::Server);
    let mut words = tokens(definition);
    let mut previous = None;
    while let Some(token) = words.next() {
        let opens = matches!(previous, Some(Token::Mark('(' | ',')));
        if opens
            && matches!(&token, Token::Word(word) if word == "filename" || word == "program")
            && matches!(words.next(), Some(Token::Literal(_)))
        {
            found.push(Demand::ServerFiles);
            break;
        }
        previous = Some(token);
    }
    found
}

/// What servers of some age do not know.
fn newer(kind: &str, definition: &str) -> Vec<Demand> {
    let mut found = Vec::new();
    let known: [(&[&str], u32, &'static str); 6] = [
        (
            &["NULLS", "NOT", "DISTINCT"],
            15,
            "constraints and indexes with NULLS NOT DISTINCT",
        ),
        (
            &["security_invoker"],
            15,
            "views with the rights of the one who asks",
        ),
        (&["rules"], 16, "collations with rules"),
        (&["WITHOUT", "OVERLAPS"], 18, "constraints WITHOUT OVERLAPS"),
        (&["PERIOD"], 18, "foreign keys of periods"),
        (
            &["NOT", "ENFORCED"],
            18,
            "constraints that are not enforced",
        ),
    ];
    for (words, major, what) in known {
        let fits = match words[0] {
            "security_invoker" => kind == "VIEW",
            "rules" => kind == "COLLATION",
            _ => !matches!(kind, "VIEW" | "COLLATION"),
        };
        if fits && holds(definition, words) {
            found.push(Demand::Major(major, what));
        }
    }
    if kind == "INDEX" && calls_functions(definition) {
        found.push(Demand::Computed);
    }
    if kind == "COLLATION" && holds(definition, &["builtin"]) {
        found.push(Demand::Major(17, "collations of the provider builtin"));
    }
    if kind == "TABLE" && has_virtual_column(definition) {
        found.push(Demand::Major(18, "columns that are computed when read"));
    }
    found
}

/// `GENERATED ALWAYS AS (…)` with no STORED after it.
fn has_virtual_column(definition: &str) -> bool {
    let mut words = tokens(definition);
    while words.any(|token| token == Token::Word("GENERATED".into())) {
        if words.next() != Some(Token::Word("ALWAYS".into()))
            || words.next() != Some(Token::Word("AS".into()))
            || words.next() != Some(Token::Mark('('))
        {
            continue;
        }
        close(&mut words);
        if words.next() != Some(Token::Word("STORED".into())) {
            return true;
        }
    }
    false
}

/// Goes on behind the parenthesis that closes the one before.
fn close(words: &mut Tokens<'_>) {
    let mut depth = 1;
    for token in words.by_ref() {
        match token {
            Token::Mark('(') => depth += 1,
            Token::Mark(')') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_computed_as_its_owner_where_it_calls_what_is_not_the_servers() {
        let index = |on: &str| demands("INDEX", &format!("CREATE INDEX i ON public.t USING {on};"));
        for on in [
            "btree (public.f(a))",
            "gist (a, (\"X y\".f(b) || 'z')) WHERE (a > 0)",
            "btree (a) WHERE public.f(a)",
        ] {
            assert_eq!(index(on), [Demand::Computed], "{on}");
        }
        for on in [
            "btree (lower(a), b)",
            "gin (a public.gin_trgm_ops)",
            "btree (a) WHERE (b = 'p.f(')",
        ] {
            assert_eq!(index(on), [], "{on}");
        }
    }

    #[test]
    fn of_a_function_what_stands_before_its_body_counts() {
        let found = demands(
            "FUNCTION",
            "CREATE FUNCTION public.f(a text DEFAULT 'SET x'::text) RETURNS TABLE(set_ integer)\n    \
             LANGUAGE sql LEAKPROOF\n    SET \"My.setting\" TO 'SUPPORT'\n    SET work_mem TO '8MB'\n    \
             AS $$SELECT 1; SET log_statement TO none$$;\n",
        );
        let parameter = |name: &str| Demand::Parameter(name.into());
        let expected = [
            Demand::Language("sql".into()),
            Demand::Superuser,
            parameter("My.setting"),
            parameter("work_mem"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_base_type_and_the_promise_of_one_are_a_superusers() {
        let of = |definition| demands("TYPE", definition);
        assert_eq!(of("CREATE TYPE public.a AS ENUM (\n    'AS'\n);\n"), []);
        assert_eq!(of("CREATE TYPE public.a;\n"), [Demand::Superuser]);
        let base =
            "CREATE TYPE public.\"AS\" (\n    INPUT = public.i AS,\n    OUTPUT = public.o\n);\n";
        assert_eq!(of(base), [Demand::Superuser]);
    }

    #[test]
    fn a_cast_wants_one_of_its_types_to_be_ones_own() {
        let of = |definition| demands("CAST", definition);
        let found =
            of("CREATE CAST (integer AS public.\"K b\") WITH FUNCTION public.k_cast(integer);\n");
        assert_eq!(found, [Demand::OwnType(vec!["public.K b".into()])]);
        let bare =
            of("CREATE CAST (timestamp with time zone AS bigint) WITHOUT FUNCTION AS IMPLICIT;\n");
        assert_eq!(bare, [Demand::OwnType(vec![]), Demand::Superuser]);
    }

    #[test]
    fn a_subscription_without_a_password_is_a_superusers() {
        let of = |connection: &str, options: &str| {
            let text = format!(
                "CREATE SUBSCRIPTION s CONNECTION '{connection}' PUBLICATION p WITH (connect = false{options});\n"
            );
            demands("SUBSCRIPTION", &text)
        };
        for with in [
            "host=h password=x",
            "password = ''x y''",
            "postgresql://a:b@h/d",
        ] {
            assert_eq!(of(with, ""), [Demand::Subscription], "{with}");
        }
        let bare = [Demand::Subscription, Demand::Superuser];
        assert_eq!(of("host=password user=x", ""), bare);
        assert_eq!(of("password=x", ", password_required = false"), bare);
        let newer = of("password=x", ", streaming = ''parallel''");
        assert!(matches!(newer[1], Demand::Major(16, _)), "{newer:?}");
    }

    #[test]
    fn what_older_servers_do_not_know_is_seen() {
        let table =
            |columns: &str| demands("TABLE", &format!("CREATE TABLE public.t ({columns});"));
        let stored = "b integer GENERATED ALWAYS AS ((a * 2)) STORED, c integer GENERATED ALWAYS AS IDENTITY";
        assert_eq!(table(stored), []);
        let read = table("b integer GENERATED ALWAYS AS ((a * 2))");
        assert!(matches!(read[..], [Demand::Major(18, _)]), "{read:?}");
        let nulls = demands(
            "CONSTRAINT",
            "ALTER TABLE ONLY public.t ADD CONSTRAINT k UNIQUE NULLS NOT DISTINCT (a);",
        );
        assert!(matches!(nulls[..], [Demand::Major(15, _)]), "{nulls:?}");
    }

    #[test]
    fn a_foreign_table_needs_its_server_and_one_of_files_more() {
        let found = demands(
            "FOREIGN TABLE",
            "CREATE FOREIGN TABLE public.f (\n    filename text OPTIONS (x 'SERVER')\n)\nSERVER files\nOPTIONS (\n    filename '/x'\n);\n",
        );
        assert_eq!(found, [Demand::Server("files".into()), Demand::ServerFiles]);
    }
}
