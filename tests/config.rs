//! What a configuration means: the complete example, and that each thing needs only its own variables.

use backupkit::config::{
    self, CompressionSetting, Config, Connection, DEFAULT_PATH, Mailbox, Notification, Route, Tls,
    VerifyPick,
};
use backupkit::error::Kind;
use backupkit::repository::check_records::CheckLevel;
use chrono::DateTime;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const EXAMPLE: &str = include_str!("config/example.yaml");

const VARIABLES: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", "AKIA"),
    ("AWS_SECRET_ACCESS_KEY", "aws: {secret}"),
    ("DB_PASSWORD", "p@ss: 'word' #1"),
    ("BACKUPKIT_ENC_PASSWORD", "enc"),
    ("BACKUP_WEBHOOK_URL", "https://hooks.example.com/x"),
    ("BACKUP_WEBHOOK_TOKEN", "t"),
    ("SMTP_USER", "u"),
    ("SMTP_PASSWORD", "s"),
];

fn set(name: &str) -> Option<OsString> {
    let found = VARIABLES.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| OsString::from(value))
}

fn unset(_: &str) -> Option<OsString> {
    None
}

fn parse(text: &str) -> Config {
    Config::parse("config.yaml", text, &unset).unwrap()
}

/// A configuration with one database whose connection and backup keys are these.
fn with(connection: &str, backup: &str) -> Config {
    parse(&format!(
        "version: 1\n\
         storage: [{{ name: local, type: local, local: {{ path: /b }} }}]\n\
         databases:\n  - name: app\n    type: postgres\n    connection: {{ {connection} }}\n    backup: {{ storage: local, {backup} }}\n"
    ))
}

fn connect(connection: &str) -> Connection {
    with(connection, "").sources[0]
        .connection
        .resolve(&set)
        .unwrap()
}

#[test]
fn the_example_loads_with_and_without_its_variables() {
    for env in [&set as &config::Env, &unset] {
        let config = Config::parse("example.yaml", EXAMPLE, env).unwrap();
        assert!(config.warnings.is_empty());
        assert_eq!(config.storages.len(), 2);
        let database = config.source("app_db").unwrap();
        assert_eq!(database.backup.storage, ["local"]);
        assert_eq!(
            database.backup.compression,
            CompressionSetting::Gzip { level: None }
        );
        assert_eq!(database.backup.dump().unwrap().lock_timeout.as_secs(), 600);
        assert!(database.backup.encryption.enabled);
        assert!(!database.backup.schedules(env).unwrap().are_none());
        let kept = &database.retention;
        assert_eq!(
            (kept.keep_daily, kept.keep_weekly, kept.keep_monthly),
            (7, 4, 3)
        );
        let told = |n: &Notification| (n.on_success, n.on_failure);
        assert_eq!(
            config.notifications.iter().map(told).collect::<Vec<_>>(),
            [(false, true), (true, true)]
        );
    }
}

#[test]
fn values_are_what_the_variables_say_whatever_characters_they_hold() {
    let config = parse(EXAMPLE);
    let database = &config.sources[0];
    let connection = database.connection.resolve(&set).unwrap();
    assert_eq!(
        (connection.host.as_str(), connection.port),
        ("127.0.0.1", 5432)
    );
    assert_eq!(
        (connection.database.as_str(), connection.user.as_str()),
        ("app", "appuser")
    );
    assert_eq!(connection.password.unwrap().expose(), "p@ss: 'word' #1");
    let s3 = config.storage("s3main").unwrap().open(&set).unwrap();
    assert_eq!(s3.locate("a/b"), "s3://my-backup-bucket/backupkit/a/b");
    let Route::Webhook(webhook) = &config.notifications[0].route else {
        panic!("the first route is not a webhook");
    };
    assert_eq!(webhook.headers[0].0, "Authorization");
    assert_eq!(
        webhook.headers[0].1.resolve(&set).unwrap().expose(),
        "Bearer t"
    );
}

#[test]
fn a_missing_variable_stops_only_what_needs_it() {
    let config = parse(EXAMPLE);
    let local = config.storage("local").unwrap().directory(&unset).unwrap();
    assert_eq!(local.as_deref(), Some(Path::new("/var/backups/backupkit")));
    let database = &config.sources[0];
    let error = database.connection.resolve(&unset).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert_eq!(
        error.to_string(),
        "databases[0].connection.password needs the variable DB_PASSWORD, which is not set"
    );
    let error = database
        .backup
        .encryption
        .seal_password(&unset)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "databases[0].backup.encryption.password needs the variable BACKUPKIT_ENC_PASSWORD, which is not set"
    );
    let error = config.storages[1].open(&unset).err().unwrap();
    assert_eq!(
        error.to_string(),
        "storage[1].s3.access_key needs the variable AWS_ACCESS_KEY_ID, which is not set"
    );
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let config = parse(EXAMPLE);
    let error = config.source("app-db").unwrap_err();
    assert_eq!(
        (error.kind(), error.first_hint()),
        (Kind::NotFound, Some("did you mean app_db?"))
    );
    let error = config.storage("tape").unwrap_err();
    assert_eq!(error.first_hint(), Some("configured: local, s3main"));
}

#[test]
fn a_url_stands_for_the_five_fields_and_keys_beside_it_win() {
    let connection = connect(
        r#"url: "postgres://me:pw@db1/app?sslmode=require&application_name=x", sslmode: verify-full, sslrootcert: /ca.pem"#,
    );
    assert_eq!((connection.host.as_str(), connection.port), ("db1", 5432));
    assert_eq!(connection.password.unwrap().expose(), "pw");
    let extra: Vec<_> = connection
        .extra
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(
        extra,
        [
            ("PGAPPNAME", "x"),
            ("PGSSLMODE", "verify-full"),
            ("PGSSLROOTCERT", "/ca.pem")
        ]
    );
}

#[test]
fn a_bad_url_from_a_variable_is_told_without_its_text() {
    let config = with(r#"url: "${URL}""#, "");
    let env = |name: &str| (name == "URL").then(|| OsString::from("postgres://me:can@ary@db1/app"));
    let error = config.sources[0].connection.resolve(&env).unwrap_err();
    assert!(!error.report().contains("ary@"), "{error:?}");
    assert_eq!(
        error.to_string(),
        "databases[0].connection.url has an @ or a / in an unexpected place"
    );
}

#[test]
fn a_port_may_be_a_number_a_string_or_a_variable() {
    for (port, expected) in [
        ("5433", 5433),
        ("\"5434\"", 5434),
        ("\"${PGPORT:-5435}\"", 5435),
    ] {
        let connection = connect(&format!(
            "host: /run/postgresql, port: {port}, database: app, user: me"
        ));
        assert_eq!(connection.port, expected);
        assert!(connection.password.is_none());
    }
    let config = with(r#"host: h, port: "${PGPORT}", database: app, user: me"#, "");
    let env = |name: &str| (name == "PGPORT").then(|| OsString::from("many"));
    let error = config.sources[0].connection.resolve(&env).unwrap_err();
    assert_eq!(
        error.to_string(),
        "databases[0].connection.port must be a port number from 1 to 65535, found \"many\""
    );
}

const PLAIN: &str = "host: h, port: 1, database: d, user: u";

#[test]
fn an_optional_value_that_becomes_empty_counts_as_left_out() {
    let password = connect(&format!("{PLAIN}, password: \"${{NONE:-}}\"")).password;
    assert!(password.is_none());
    let config = with(PLAIN, r#"schedule: """#);
    assert!(
        config.sources[0]
            .backup
            .schedules(&unset)
            .unwrap()
            .are_none()
    );
}

#[test]
fn passwords_to_open_with_come_in_order_and_only_when_asked_for() {
    let config = with(
        PLAIN,
        r#"encryption: { enabled: false, password: "now", previous_passwords: ["${NONE}", "before"] }"#,
    );
    let encryption = &config.sources[0].backup.encryption;
    assert!(encryption.seal_password(&unset).unwrap().is_none());
    let mut passwords = encryption.open_passwords(&unset);
    assert_eq!(passwords.next().unwrap().unwrap().expose(), "now");
    let error = passwords.next().unwrap().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("databases[0].backup.encryption.previous_passwords[0] needs")
    );
    assert_eq!(passwords.next().unwrap().unwrap().expose(), "before");
    assert!(passwords.next().is_none());
}

#[test]
fn options_with_variables_are_checked_once_they_are_known() {
    let config = with(PLAIN, r#"options: ["-v", "${MORE}"]"#);
    let more =
        |value: &'static str| move |name: &str| (name == "MORE").then(|| OsString::from(value));
    let backup = &config.sources[0].backup;
    let options = backup.dump().unwrap().options(&more("--table=a")).unwrap();
    assert_eq!(
        (options.args.as_slice(), options.is_partial()),
        (&["-v".to_string(), "--table=a".into()][..], true)
    );
    let error = backup.dump().unwrap().options(&more("-Fc")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "databases[0].backup.options[1] may not hold -F (--format)"
    );
}

#[test]
fn databases_are_worked_on_one_by_one_unless_the_file_says_how_many() {
    let with = |top: &str| {
        let text = format!(
            "version: 1\n{top}\nstorage: [{{ name: s, type: local, local: {{ path: /b }} }}]\ndatabases:\n  \
             - {{ name: a, type: postgres, connection: {{ url: 'postgres://u@h/d' }}, backup: {{ storage: s }} }}\n"
        );
        Config::parse("config.yaml", &text, &unset).map(|config| config.max_parallel)
    };
    assert_eq!(with("").unwrap(), 1);
    assert_eq!(with("max_parallel: 4").unwrap(), 4);
    for wrong in ["0", "101", "-1", "many"] {
        let error = with(&format!("max_parallel: {wrong}")).unwrap_err();
        assert!(error.to_string().contains("max_parallel"), "{error}");
    }
}

#[test]
fn the_file_is_looked_for_in_three_places() {
    let env = |name: &str| (name == "BACKUPKIT_CONFIG").then(|| OsString::from("/env.yaml"));
    assert_eq!(
        config::find(Some(Path::new("mine.yaml")), &env),
        Path::new("mine.yaml")
    );
    assert_eq!(config::find(None, &env), Path::new("/env.yaml"));
    assert_eq!(config::find(None, &unset), Path::new(DEFAULT_PATH));
}

#[test]
fn a_file_that_cannot_be_read_is_a_usage_error_with_the_way_on() {
    let error = Config::load(Path::new("/nonexistent/config.yaml"), &unset).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert_eq!(
        error.report(),
        "cannot read the configuration /nonexistent/config.yaml: No such file or directory (os error 2)\n  \
         hint: write one with: backupkit init, or name the file with -c FILE or in BACKUPKIT_CONFIG"
    );
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        Config::load(folder.path(), &unset).unwrap_err().kind(),
        Kind::Usage
    );
    let path = folder.path().join("latin1.yaml");
    std::fs::write(&path, b"version: 1\nstorage: \xe4\n").unwrap();
    assert!(
        Config::load(&path, &unset)
            .unwrap_err()
            .to_string()
            .ends_with("line 2: not UTF-8 text")
    );
}

#[test]
fn a_plain_password_in_a_file_for_all_eyes_is_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let load = |text: &str, mode: u32| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Config::load(&path, &unset).unwrap().warnings
    };
    let plain = EXAMPLE.replace("${DB_PASSWORD}", "canary");
    let warnings = load(&plain, 0o644);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("holds databases[0].connection.password in plain text"));
    assert!(!warnings[0].contains("canary"));
    assert!(load(&plain, 0o640).is_empty());
    assert!(load(EXAMPLE, 0o644).is_empty());
    let url = EXAMPLE.replace(
        r#"{ host: "127.0.0.1", port: 5432, database: "app", user: "appuser", password: "${DB_PASSWORD}" }"#,
        r#"{ url: "postgres://u:canary@h/d" }"#,
    );
    assert!(load(&url, 0o604)[0].contains("databases[0].connection.url"));
}

#[test]
fn a_password_that_a_comment_cuts_is_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let load = |password: &str| {
        let inline = r#"{ host: "127.0.0.1", port: 5432, database: "app", user: "appuser", password: "${DB_PASSWORD}" }"#;
        let block =
            "\n      host: h\n      port: 1\n      database: d\n      user: u\n      password: ";
        std::fs::write(
            &path,
            EXAMPLE.replace(inline, &(block.to_string() + password)),
        )
        .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        Config::load(&path, &unset).unwrap().warnings
    };
    let told = "databases[0].connection.password ends before the # on its line, which begins a comment: if what follows is a part of \
                it, put all of it in quotes";
    assert_eq!(load("canary #1"), [told]);
    for whole in [
        "canary",
        "canary # of the application",
        "canary#1",
        "'canary #1'",
        "\"canary #1\"",
    ] {
        assert!(load(whole).is_empty(), "{whole}");
    }
}

#[test]
fn a_password_from_a_file_needs_no_variable_and_is_no_plain_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "p@ss ${A} '$$'\n").unwrap();
    let file = format!("password_file: '{}'", path.display());
    let connection = format!("host: h, port: 1, database: d, user: u, {file}");
    let config = with(
        &connection,
        &format!("encryption: {{ enabled: true, {file} }}"),
    );
    let database = &config.sources[0];
    let login = database.connection.resolve(&unset).unwrap().password;
    let seal = database.backup.encryption.seal_password(&unset).unwrap();
    for password in [login, seal] {
        assert_eq!(password.unwrap().expose(), "p@ss ${A} '$$'");
    }
    std::fs::remove_file(&path).unwrap();
    let missing = database.backup.encryption.seal_password(&unset);
    let error = missing.unwrap_err().chain();
    assert!(
        error.starts_with("databases[0].backup.encryption.password_file: "),
        "{error}"
    );
    assert!(database.connection.resolve(&unset).is_err());
}

#[test]
fn a_reference_that_is_spelt_wrongly_is_warned_about() {
    let warnings = with(
        PLAIN,
        r#"encryption: { enabled: true, password: "${ENC-x}" }"#,
    )
    .warnings;
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("databases[0].backup.encryption.password: ${ without"));
}

#[test]
fn no_cut_or_scratched_file_ends_in_a_crash() {
    for at in (0..EXAMPLE.len()).step_by(13) {
        let _ = Config::parse("x", &EXAMPLE[..at], &unset);
        for scratch in ["\t", "- ", ": ", "*a", "]", "\"", "\n"] {
            let _ = Config::parse(
                "x",
                &format!("{}{scratch}{}", &EXAMPLE[..at], &EXAMPLE[at + 1..]),
                &unset,
            );
        }
    }
}

#[test]
fn one_check_for_several_databases_is_warned_about() {
    let with = |url: &str| {
        let database = "{ type: postgres, connection: { url: 'postgresql://u@h/d' }, backup: { storage: local } }";
        let second = database.replacen('{', "{ name: two,", 1);
        let text = EXAMPLE.replace("notifications:\n", &format!(
            "  - {second}\nnotifications:\n  - {{ type: webhook, on: failure, config: {{ url: '{url}', template: healthchecks }} }}\n"
        ));
        Config::parse("x", &text, &unset).unwrap().warnings
    };
    let warnings = with("https://hc/secret");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("notifications[0].config.url: all 2 databases ping one check"));
    assert!(!warnings[0].contains("secret"));
    assert_eq!(with("https://hc/secret/{db}"), [""; 0]);
    assert_eq!(with("${NOT_KNOWN_YET}"), [""; 0]);
}

#[test]
fn mail_is_encrypted_unless_it_need_not_be() {
    for (port, more, expected) in [
        (465, "", Tls::Implicit),
        (587, "", Tls::StartTls),
        (25, "", Tls::None),
        (2525, "", Tls::None),
        (25, "username: u, password: p", Tls::StartTls),
        (2525, "username: u, password: p", Tls::StartTls),
        (
            2525,
            "username: '${NONE:-}', password: '${NONE:-}'",
            Tls::None,
        ),
        (2465, "tls: implicit", Tls::Implicit),
        (587, "tls: none", Tls::None),
    ] {
        let text = EXAMPLE.replace("notifications:\n", &format!(
            "notifications:\n  - {{ type: email, on: failure, config: {{ smtp_host: h, smtp_port: {port}, \
             from: 'Me <a@b>', to: 'c@d, E F <e@f>', {more} }} }}\n"
        ));
        let config = parse(&text);
        let Route::Email(keys) = &config.notifications[0].route else {
            panic!("the first route is no mail");
        };
        let email = keys.resolve(&unset).unwrap();
        assert_eq!(email.tls, expected, "{port} {more}");
        assert_eq!(email.login.is_some(), more.contains(": u"));
        let named = |name: &str, address: &str| Mailbox {
            name: Some(name)
                .filter(|name| !name.is_empty())
                .map(str::to_string),
            address: address.to_string(),
        };
        assert_eq!(email.from, named("Me", "a@b"));
        assert_eq!(email.to, [named("", "c@d"), named("E F", "e@f")]);
    }
}

#[test]
fn debug_output_of_a_configuration_shows_no_value_of_a_secret() {
    let config = parse(&EXAMPLE.replace("${DB_PASSWORD}", "canary"));
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn checks_on_a_schedule_say_when_how_deep_and_of_what() {
    let with =
        |keys: &str| parse(&EXAMPLE.replace("    retention:", &format!("{keys}\n    retention:")));
    let config = with("    verify: { schedule: '0 6 * * 3' }");
    let verify = config.sources[0].verify.as_ref().unwrap();
    assert_eq!(
        (verify.level, verify.pick),
        (CheckLevel::Full, VerifyPick::Latest)
    );
    let next = verify
        .schedule(&unset)
        .unwrap()
        .next_after(DateTime::UNIX_EPOCH);
    assert_eq!(next.unwrap().to_rfc3339(), "1970-01-07T06:00:00+00:00");
    assert_eq!(config.sources[0].max_unverified_age, None);
    let config = with(
        "    verify: { schedule: '@weekly', level: restore, pick: random }\n    max_unverified_age: 8d",
    );
    let verify = config.sources[0].verify.as_ref().unwrap();
    assert_eq!(
        (verify.level, verify.pick),
        (CheckLevel::Restore, VerifyPick::Random)
    );
    let days = config.sources[0]
        .max_unverified_age
        .map(|age| age.as_secs() / 86_400);
    assert_eq!(days, Some(8));
    assert!(parse(EXAMPLE).sources[0].verify.is_none());
}

#[test]
fn the_manual_shows_the_example_word_for_word() {
    let manual = include_str!("../man/backupkit.yaml.5");
    let shown: Vec<&str> = manual
        .lines()
        .skip_while(|line| *line != ".Sh EXAMPLES")
        .skip_while(|line| !line.starts_with(".Bd"))
        .skip(1)
        .take_while(|line| *line != ".Ed")
        .collect();
    assert_eq!(shown.join("\n"), EXAMPLE.trim_end());
}

#[test]
fn a_drill_is_held_where_the_top_level_says_and_asks_what_the_database_says() {
    let yaml = "version: 1
drill:
  user: drills
  directory: /srv/drills
  timeout: 5m
  connection: { host: db1, port: 5432, database: postgres, user: drills }
storage: [{ name: local, type: local, local: { path: /b } }]
databases:
  - name: app
    type: postgres
    connection: { host: db0, port: 5432, database: app, user: app }
    backup: { storage: local }
    drill:
      connection: { url: \"postgresql://d:${DB_PASSWORD}@db2/postgres\" }
      assert: \"select count(*) > 0 from users\"
      run: [\"./smoke-test \\\"$DATABASE_URL\\\"\", \"exit ${LATER}\"]
  - name: plain
    type: postgres
    connection: { host: db0, port: 5432, database: app, user: app }
    backup: { storage: local }
";
    let config = parse(yaml);
    let plain = config.drill(config.source("plain").ok(), &unset).unwrap();
    assert_eq!(plain.connection.unwrap().host, "db1");
    assert_eq!(plain.user.as_deref(), Some("drills"));
    assert_eq!(plain.directory.as_deref(), Some(Path::new("/srv/drills")));
    assert_eq!(plain.timeout.unwrap().as_secs(), 300);
    assert!(plain.assertions.is_empty() && plain.commands.is_empty());

    let app = config.source("app").ok();
    let later = |name: &str| match name {
        "LATER" => Some("0".into()),
        "DB_PASSWORD" => Some("p".into()),
        _ => None,
    };
    let drill = config.drill(app, &later).unwrap();
    assert_eq!(drill.connection.unwrap().host, "db2");
    assert_eq!(drill.assertions, ["select count(*) > 0 from users"]);
    assert_eq!(drill.commands, ["./smoke-test \"$DATABASE_URL\"", "exit 0"]);
    // what is missing blocks the drill alone
    let error = config.drill(app, &unset).unwrap_err();
    assert!(
        error.report().contains("databases[0].drill"),
        "{}",
        error.report()
    );
}

#[test]
fn words_of_older_configurations_mean_what_they_meant() {
    let with = |on: &str, flag: &str| {
        parse(&format!(
            "version: 1\nstorage: [{{ name: s, type: ' Local ', local: {{ path: /s }} }}]\ndatabases: [{{ name: d, type: Postgres, \
             connection: {{ url: 'postgresql://u@h/d' }}, backup: {{ storage: s, globals: {flag} }} }}]\n\
             notifications: [{{ type: WebHook, on: {on}, config: {{ url: 'https://h', template: Slack }} }}]"
        ))
    };
    for (on, success, failure) in [
        ("[both]", true, true),
        ("Both", true, true),
        ("[' Success ']", true, false),
        ("' FAILURE '", false, true),
        ("[SUCCESS, both]", true, true),
    ] {
        let config = with(on, "true");
        let route = &config.notifications[0];
        assert_eq!(
            (route.on_success, route.on_failure),
            (success, failure),
            "{on}"
        );
    }
    for (flag, expected) in [
        ("yes", true),
        ("On", true),
        ("' TRUE '", true),
        ("no", false),
        ("off", false),
    ] {
        assert_eq!(
            with("both", flag).sources[0].backup.dump().unwrap().globals,
            expected,
            "{flag}"
        );
    }
}
