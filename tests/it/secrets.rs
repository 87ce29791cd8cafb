//! A password shows nowhere but where it is needed: in no argument, no other program's environment, no output, no
//! error and no file.

use crate::support::mail::{Certificate, Smtpd, USER};
use crate::support::postgres::{Database, postgres};
use crate::support::processes;
use crate::support::program::{self, Output};
use crate::support::receiver::{Answer, Receiver};
use crate::support::sandbox::Sandbox;
use crate::support::strace::Trace;
use serde_json::json;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// In every password here and in nothing else on this machine.
const CANARY: &str = "kanarienvogel";
const SEALING: &str = "kanarienvogel sealing";
const DATABASE: &str = "kanarienvogel-db/%@";
/// The same in a URL.
const ENCODED: &str = "kanarienvogel-db%2F%25%40";

/// Two databases, and a role that owns one and can read both with its password.
struct Aviary {
    sandbox: Sandbox,
    database: Database<'static>,
    role: String,
}

impl Aviary {
    fn new() -> Aviary {
        let server = postgres(18);
        let (database, role) = (
            server.create_database("aviary"),
            server.create_role("keeper"),
        );
        let name = &database.name;
        server.maintenance().sql(&format!(
            "ALTER ROLE {role} PASSWORD '{DATABASE}'; ALTER DATABASE {name} OWNER TO {role}"
        ));
        database.sql(&format!(
            "CREATE TABLE cage AS SELECT 1 AS bird; ALTER TABLE cage OWNER TO {role}"
        ));
        let sandbox = Sandbox::new(18)
            .with("BACKUPKIT_ENC_PASSWORD", SEALING)
            .with("DB_PASSWORD", DATABASE);
        Aviary {
            sandbox,
            database,
            role,
        }
    }

    /// The ways to say how to log in.
    fn connections(&self) -> [String; 3] {
        let port = self.database.server.port;
        let Aviary {
            database: Database { name, .. },
            role,
            ..
        } = self;
        let url = format!("postgresql://{role}:{ENCODED}@127.0.0.1:{port}/{name}");
        [
            self.database.connection(role, DATABASE),
            self.database.connection(role, "${DB_PASSWORD}"),
            format!("url: '{url}'"),
        ]
    }

    fn configure(&self, connection: &str) {
        self.sandbox.configure(&format!(
            "version: 1
storage:
  - {{ name: local, type: local, local: {{ path: '{}' }} }}
databases:
  - name: app
    type: postgres
    connection: {{ {connection} }}
    backup:
      storage: local
      compression: true
      encryption: {{ enabled: true, password: '${{BACKUPKIT_ENC_PASSWORD}}' }}
",
            self.sandbox.path("storage").display()
        ));
    }

    /// Runs the program, and fails the test if the password shows in what it prints.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Output {
        silent(self.sandbox.run(arguments))
    }

    /// Runs the program with all that can be told about a failure.
    #[track_caller]
    fn fails(&self, arguments: &[&str], status: i32) {
        for more in [&["--verbose"][..], &["--verbose", "--json"]] {
            let output = self.run(&[arguments, more].concat()).exits(status);
            assert!(!output.stderr.is_empty());
        }
    }
}

#[track_caller]
fn silent(output: Output) -> Output {
    let (stdout, stderr) = (output.text(), &output.stderr);
    assert!(
        !stdout.contains(CANARY) && !stderr.contains(CANARY),
        "it sings\n--- stdout:\n{stdout}\n--- stderr:\n{stderr}"
    );
    output
}

/// A program that was started, as strace tells it.
struct Started {
    arguments: String,
    environment: String,
}

impl Started {
    /// All but the first, which is backupkit itself.
    fn children(trace: &Trace) -> Vec<Started> {
        let lines = trace.lines();
        let started = lines
            .iter()
            .filter(|line| line.contains("execve(") && line.ends_with("= 0"));
        let split = started.map(|line| {
            let (arguments, environment) = line.split_once("], [").expect("strace -v shows both");
            Started {
                arguments: arguments.into(),
                environment: environment.into(),
            }
        });
        split.skip(1).collect()
    }
}

/// Ends the sampling, also where an assertion ends the test.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn a_password_is_in_no_argument_and_only_in_the_environment_of_who_logs_in() {
    let aviary = Aviary::new();
    let sampling = AtomicBool::new(true);
    thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut sung = Vec::new();
            while sampling.load(Ordering::Relaxed) {
                let mut processes = processes::all();
                processes
                    .retain(|process| processes::contains(&process.arguments, CANARY.as_bytes()));
                sung.extend(processes);
                thread::sleep(Duration::from_millis(2));
            }
            sung
        });
        let stop = Stop(&sampling);
        for connection in aviary.connections() {
            aviary.configure(&connection);
            let mut programs = Vec::new();
            for arguments in [
                &["backup", "--verbose"][..],
                &["restore", "--from", "latest", "--clean", "--verbose"],
                &["list", "--verbose", "--json"],
            ] {
                let options = ["-f", "-v", "-s", "100000", "-e", "trace=execve"];
                let (command, trace) = Trace::command(&aviary.sandbox, &options, arguments);
                silent(program::run(command, "").exits(0));
                for child in Started::children(&trace) {
                    let Started {
                        arguments,
                        environment,
                    } = &child;
                    assert!(!arguments.contains(CANARY), "{arguments}");
                    let password = format!("\"PGPASSWORD={DATABASE}\"");
                    let others = environment.replacen(&password, "", 1);
                    assert!(!others.contains(CANARY), "{arguments}: {others}");
                    let asks_for_version = arguments.contains("\"--version\"");
                    assert_ne!(
                        environment.contains(CANARY),
                        asks_for_version,
                        "{arguments}"
                    );
                    programs.push(arguments.clone());
                }
            }
            for program in ["psql", "pg_dump", "pg_restore"] {
                let ran = |started: &String| {
                    started.contains(&format!("/{program}\"")) && !started.contains("--version")
                };
                assert!(
                    programs.iter().any(ran),
                    "{program} was not seen in {programs:#?}"
                );
            }
        }
        drop(stop);
        let sung = sampler.join().expect("it ends well");
        assert!(sung.is_empty(), "{sung:?}");
    });
}

#[test]
fn a_password_is_in_nothing_that_is_printed_or_stored() {
    let aviary = Aviary::new();
    for connection in aviary.connections() {
        aviary.configure(&connection);
        aviary.run(&["backup", "--verbose"]).exits(0);
        aviary.run(&["backup", "--json", "--verbose"]).exits(0);
        aviary.run(&["list", "--verbose"]).exits(0);
        aviary.run(&["list", "--json"]).exits(0);
        aviary
            .run(&["restore", "--from", "latest", "--clean", "--verbose"])
            .exits(0);
        aviary
            .run(&["restore", "--from", "latest", "--clean", "--json"])
            .exits(0);
        aviary.run(&["cat", "latest", "--verbose"]).exits(0);
    }
    let files = aviary.sandbox.files("");
    assert!(
        files.iter().filter(|file| file.ends_with("Z.json")).count() == 6,
        "{files:?}"
    );
    for file in files.iter().filter(|file| *file != "config.yaml") {
        let bytes = fs::read(aviary.sandbox.path(file)).expect("read it");
        assert!(!processes::contains(&bytes, CANARY.as_bytes()), "{file}");
    }
    for directory in ["tmp", "run", "home"] {
        assert_eq!(
            aviary.sandbox.files(directory),
            [""; 0],
            "left in {directory}"
        );
    }
}

#[test]
fn every_file_that_is_made_is_for_its_owner_alone() {
    let aviary = Aviary::new();
    aviary.configure(&aviary.connections()[0]);
    let storage = aviary.sandbox.path("storage");
    let mut made = std::collections::BTreeSet::new();
    for arguments in [&["backup"][..], &["restore", "--from", "latest", "--clean"]] {
        let options = ["-f", "-e", "trace=openat,open,creat"];
        let (command, trace) = Trace::command(&aviary.sandbox, &options, arguments);
        program::run(command, "").exits(0);
        for line in trace.lines().iter().filter(|line| line.contains("O_CREAT")) {
            let (_, opened) = line.split_once('"').expect("strace shows the path");
            assert!(
                opened.starts_with(storage.to_str().expect("UTF-8")),
                "{line}"
            );
            assert!(opened.contains(", 0600)"), "{line}");
            let file = opened.split('"').next().unwrap_or_default();
            made.insert(file.rsplit('/').next().unwrap_or_default().to_string());
        }
    }
    for kind in [
        ".lock",
        "lease.1.json.tmp",
        ".run.tmp",
        ".dump.gz.enc.tmp",
        ".sha256.tmp",
        "Z.json.tmp",
        ".verified.json.tmp",
    ] {
        assert!(
            made.iter().any(|file| file.ends_with(kind)),
            "{kind}: {made:?}"
        );
    }
    assert!(
        made.iter().any(|file| file.contains(".reading-")),
        "{made:?}"
    );
}

#[test]
fn a_password_is_in_no_error_of_a_run() {
    let aviary = Aviary::new();
    let server = aviary.database.server;
    let good = aviary.database.connection(&aviary.role, DATABASE);
    aviary.configure(&good);
    aviary.run(&["backup"]).exits(0);

    let port = format!("port: {}", server.port);
    let wrong = DATABASE.replace("db", "wrong");
    let url = |authority: &str| {
        let name = &aviary.database.name;
        format!("url: 'postgresql://{authority}/{name}'")
    };
    for connection in [
        // refused, unreachable
        aviary.database.connection(&aviary.role, &wrong),
        url(&format!(
            "{}:{CANARY}-wrong@127.0.0.1:{}",
            aviary.role, server.port
        )),
        good.replace(&port, "port: 1"),
        url(&format!("{}:{ENCODED}@127.0.0.1:1", aviary.role)),
        good.replace("127.0.0.1", "no-such-host.invalid"),
        good.replace("127.0.0.1", "/nowhere"),
        url(&format!(
            "{}:{ENCODED}@127.0.0.1:{}",
            aviary.role, server.port
        )) + ", sslmode: verify-full",
    ] {
        aviary.configure(&connection);
        aviary.fails(&["backup"], 1);
        aviary.fails(&["restore", "--from", "latest", "--clean"], 1);
    }
    aviary.configure(&good.replace(&aviary.database.name, "not_there"));
    aviary.fails(&["backup"], 10);
    aviary.fails(&["restore", "--from", "latest", "--clean"], 10);

    aviary.configure(&good);
    aviary.fails(&["restore", "--from", "latest"], 15);
    aviary.database.sql("CREATE TABLE closed ()");
    aviary.fails(&["backup"], 1);
    let sandbox = aviary
        .sandbox
        .with("BACKUPKIT_ENC_PASSWORD", &format!("{CANARY} another"));
    let aviary = Aviary { sandbox, ..aviary };
    aviary.fails(&["restore", "--from", "latest", "--clean"], 12);
}

#[test]
fn the_secrets_of_a_route_are_in_no_message_and_no_log_whatever_its_receiver_says() {
    let aviary = Aviary::new();
    let (certificate, other) = (Certificate::new(), Certificate::new());
    let mail = |asked: serde_json::Value| Smtpd::start(Some(&certificate), asked);
    let (strict, open) = (
        mail(json!({ "tls": "starttls", "logins": ["LOGIN"], "password": "another" })),
        mail(json!({ "tls": "starttls", "logins": ["PLAIN"], "password": SEALING })),
    );
    let back = format!("location: /{CANARY}?{CANARY}\r\n");
    let receivers = [
        Answer::status(200),
        Answer::status(404),
        Answer::status(500),
        Answer::Status(302, back),
        Answer::Reset,
    ]
    .map(|answer| Receiver::start(&[answer]));

    let mut routes = String::from("notifications:\n");
    let hook = |url: &str, more: &str| {
        let url = url.replace("http://", &format!("http://user:{CANARY}@"));
        format!(
            "  - {{ type: webhook, on: [success, failure], config: {{ url: '{url}/{CANARY}?token={CANARY}', \
             headers: {{ X-Token: '{CANARY}', X-Other: '${{TOKEN}}' }}{more} }} }}\n"
        )
    };
    for receiver in &receivers {
        routes += &hook(&receiver.url, "");
    }
    for template in ["slack", "discord", "ntfy", "healthchecks"] {
        routes += &hook(&receivers[0].url, &format!(", template: {template}"));
    }
    routes += &hook("http://127.0.0.1:1", "");
    routes += &hook("http://no-such-host.invalid", "");
    routes += &hook(&receivers[0].url, ", ca_file: /nowhere").replace("http:", "https:");
    routes += &hook(&receivers[0].url.replace("http:", "https:"), "")
        .replace("https://", "https://user@");
    for (port, ca) in [
        (open.port, certificate.authority()),
        (strict.port, certificate.authority()),
        (open.port, other.authority()),
        (1, certificate.authority()),
    ] {
        routes += &format!(
            "  - {{ type: email, on: [success, failure], config: {{ smtp_host: localhost, smtp_port: {port}, \
             from: a@example.com, to: b@example.com, username: {USER}, password: '${{TOKEN}}', ca_file: '{ca}' }} }}\n"
        );
    }
    let sandbox = aviary.sandbox.with("TOKEN", SEALING);
    let aviary = Aviary { sandbox, ..aviary };
    let good = aviary.database.connection(&aviary.role, DATABASE);
    let wrong = aviary
        .database
        .connection(&aviary.role, &DATABASE.replace("db", "wrong"));
    for (connection, status) in [(good, 0), (wrong, 1)] {
        aviary.configure(&connection);
        let path = aviary.sandbox.path("config.yaml");
        let yaml = fs::read_to_string(&path).expect("it is ours") + &routes;
        aviary.sandbox.configure(&yaml);
        for arguments in [
            &["backup", "--verbose"][..],
            &["backup", "--verbose", "--json"],
        ] {
            let output = aviary.run(arguments).exits(status);
            let untold = output.stderr.matches(" was not told: ").count();
            assert!(untold >= 9, "{}", output.stderr);
        }
    }
    let told = receivers.iter().flat_map(Receiver::rest);
    let told: Vec<String> = told.map(|request| request.body).collect();
    assert!(told.len() > 40, "{}", told.len());
    let mails = open.end();
    assert_eq!(mails.len(), 8, "a login and a mail for each run");
    for text in told
        .into_iter()
        .chain(mails.iter().map(ToString::to_string))
    {
        assert!(!text.contains(CANARY), "{text}");
    }
}

#[test]
fn a_password_is_in_no_error_about_the_configuration() {
    let aviary = Aviary::new();
    let connections = [
        "{ host: h, port: 1, database: d, user: u, passwort: 'CANARY' }",
        "{ host: h, port: 1, database: d, user: u, password: ['CANARY'] }",
        "{ host: h, port: 1, database: d, user: u, password: { CANARY: x } }",
        "{ host: h, port: 1, database: d, user: u, password: { x: CANARY } }",
        "{ host: h, port: 1, database: d, user: u, password: 'CANARY }",
        "{ host: h, port: 1, database: d, user: u, password: \"CANARY\\q\" }",
        "{ host: h, port: 1, database: d, user: u, password: \"CANARY\\0\" }",
        "{ host: h, port: 1, database: d, user: u, password: !secret CANARY }",
        "{ host: h, port: 1, database: d, user: u, password: &a CANARY, password: *a }",
        "{ host: h, port: 1, database: d, user: u, password: *CANARY }",
        "{ host: h, port: 1, database: d, user: u, password: CANARY: x }",
        "{ host: h, port: 1, database: d, user: u, password: CANARY, password: CANARY }",
        "{ host: h, port: 99999, database: '', user: u, password: '${NONE:-CANARY}' }",
        "{ host: h, port: 1, database: d, user: u, password: '${NONE}CANARY' }",
        "{ url: 'postgresql://u:CANARY@h:not_a_port/d' }",
        "{ url: 'postgresql://u:CANARY@h:99999/d' }",
        "{ url: 'postgresql://u:CANARY@' }",
        "{ url: 'postgresql://u:CANARY@h/' }",
        "{ url: 'postgresql://u:CANARY%zz@h/d' }",
        "{ url: 'postgresql://u:CANARY%00@h/d' }",
        "{ url: 'postgresql://u:CANARY@h/d?nonsense=1' }",
        "{ url: 'postgresql://u@h/d?passwort=CANARY' }",
        "{ url: 'postgresql://u:CANARY@[::1/d' }",
        "{ url: 'postgresql://u:CANARY@h1,h2/d' }",
        "{ url: 'postgres//u:CANARY@h/d' }",
        "{ url: 'mysql://u:CANARY@h/d' }",
        "{ url: 'u:CANARY@h/d' }",
        "{ url: 'host=h password=CANARY' }",
        "{ url: 'postgresql://u:CANARY@h/d', host: h, password: CANARY }",
        "{ url: ['postgresql://u:CANARY@h/d'] }",
        "'postgresql://u:CANARY@h/d'",
        "[CANARY]",
        "CANARY",
    ];
    let backups = [
        "options: ['--dbname=postgresql://u:CANARY@h/d']",
        "options: ['-d', 'postgresql://u:CANARY@h/d']",
        "options: ['password=CANARY']",
        "options: ['postgresql://u:CANARY@h/d']",
        "options: 'postgresql://u:CANARY@h/d'",
        "encryption: { enabled: true, password: [CANARY] }",
        "encryption: { enabled: true, passwort: CANARY }",
        "encryption: { enabled: true, password: \"CANARY\\0\" }",
        "encryption: { enabled: true, previous_passwords: CANARY }",
        "encryption: { enabled: true, password: '', previous_passwords: [CANARY, ''] }",
        "encryption: CANARY",
    ];
    let good = "{ host: h, port: 1, database: d, user: u, password: CANARY }";
    let with = |connection: &str, backup: &str| {
        let storage = aviary.sandbox.path("storage");
        let yaml = format!(
            "version: 1\nstorage: [{{ name: local, type: local, local: {{ path: '{}' }} }}]\ndatabases:\n  - name: app\n    type: postgres\n    connection: {connection}\n    backup:\n      storage: local\n      {backup}\n",
            storage.display()
        );
        aviary.sandbox.configure(&yaml.replace("CANARY", CANARY));
        aviary.fails(&["backup"], 2);
    };
    for connection in connections {
        with(connection, "compression: true");
    }
    for backup in backups {
        with(good, backup);
    }

    // and of the other secrets that a configuration holds
    for rest in [
        "storage: [{ name: s, type: s3, s3: { secret_key: CANARY, secret_key: CANARY } }]",
        "storage: [{ name: s, type: s3, s3: { bucket: b, access_key: [CANARY], secret_key: { x: CANARY } } }]",
        "notifications: [{ type: webhook, on: [failure], config: { url: 'CANARY', headers: CANARY } }]",
        "notifications: [{ type: webhook, on: [failure], config: { url: 'ftp://u:CANARY@h', headers: { A: [CANARY] } } }]",
        "notifications: [{ type: email, on: [failure], config: { smtp_host: h, password: CANARY } }]",
        "notifications: [{ type: email, on: [failure], config: { password: [CANARY], username: CANARY } }]",
    ] {
        aviary
            .sandbox
            .configure(&format!("version: 1\n{rest}\ndatabases: []\n").replace("CANARY", CANARY));
        aviary.fails(&["backup"], 2);
    }
}

#[test]
fn every_secret_file_that_all_users_may_read_is_warned_about_once() {
    let sandbox = Sandbox::new(18);
    let place = |name: &str| sandbox.path(name).display().to_string();
    for name in ["login", "sealing", "older", "mail"] {
        fs::write(place(name), format!("{CANARY}\n")).expect("write a secret");
    }
    sandbox.configure(&format!(
        "version: 1
storage: [{{ name: local, type: local, local: {{ path: '{}' }} }}]
databases:
  - name: one
    type: postgres
    connection: {{ host: h, port: 1, database: d, user: u, password_file: '{}' }}
    backup:
      storage: local
      encryption: {{ enabled: true, password: '${{SEAL}}', previous_passwords: ['${{OLDER}}'] }}
  - name: two
    type: postgres
    connection: {{ host: h, port: 1, database: d, user: u, password_file: '{}' }}
    backup: {{ storage: local }}
notifications:
  - type: email
    on: failure
    config: {{ smtp_host: h, smtp_port: 25, from: a@b.c, to: a@b.c, username: u, password: '${{MAIL}}' }}
",
        place("storage"),
        place("login"),
        place("login"),
    ));
    let files = [
        ("SEAL_FILE", "sealing"),
        ("OLDER_FILE", "older"),
        ("MAIL_FILE", "mail"),
    ];
    let files = files.map(|(variable, name)| (variable, place(name)));
    let sandbox = files.iter().fold(sandbox, |sandbox, (variable, path)| {
        sandbox.with(variable, path)
    });
    let warned = |mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let names = ["login", "sealing", "older", "mail"];
        for name in names {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(sandbox.path(name), permissions).expect("it is ours");
        }
        let output = sandbox.run(&["list"]).exits(0);
        assert!(!output.stderr.contains(CANARY), "{}", output.stderr);
        let lines = output.stderr.lines().map(str::to_owned);
        let lines: Vec<String> = lines
            .filter(|line| line.contains("can be read by every user"))
            .collect();
        names.map(|name| {
            let path = format!("{} can", sandbox.path(name).display());
            lines.iter().filter(|line| line.contains(&path)).count()
        })
    };
    fs::set_permissions(
        sandbox.path(""),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .expect("it is ours");
    assert_eq!(warned(0o644), [1; 4]);
    assert_eq!(warned(0o640), [0; 4]);
    assert_eq!(warned(0o604), [1; 4]);
    let report = sandbox.run(&["test"]);
    assert!(
        report.text().contains("can be read by every user"),
        "{}",
        report.text()
    );
}

#[test]
fn a_secret_in_the_place_of_something_else_is_not_repeated() {
    let sandbox = Sandbox::new(18).with("WRONG_FILE", CANARY);
    let spoilt = [
        ("password_file: /x", format!("password_file: {CANARY}")),
        ("password_file: /x", format!("password_file: '{CANARY} /x'")),
        ("password_file: /x", "password: '${WRONG}'".into()),
        (
            "password_file: /x",
            format!("password: '${{NONE:-{CANARY}'"),
        ),
        (
            "password_file: /x",
            format!("password: '${{NONE}}{CANARY}'"),
        ),
        ("port: 1", format!("port: '${{NONE:-{CANARY}}}'")),
        (
            "{ host: h, port: 1, database: d, user: u, password_file: /x }",
            format!("{{ url: 'postgresql://u:${{NONE:-{CANARY}/x?y}}@h/d' }}"),
        ),
        (
            "schedule: '0 2 * * *'",
            format!("schedule: '${{NONE:-{CANARY}}}'"),
        ),
        ("https://h/x", format!("'ftp://${{NONE:-{CANARY}}}'")),
        ("https://h/x", format!("http://u:{CANARY}@")),
        (
            "type: local, local: { path: /x }",
            format!("type: s3, s3: {{ bucket: b, region: r, endpoint: 'https://u:{CANARY}@h:x' }}"),
        ),
        ("--verbose", format!("--password {CANARY}")),
        ("--verbose", format!("-W {CANARY}")),
        ("--verbose", CANARY.into()),
    ];
    let good = "version: 1
storage: [{ name: local, type: local, local: { path: /x } }]
databases:
  - name: one
    type: postgres
    connection: { host: h, port: 1, database: d, user: u, password_file: /x }
    backup: { storage: local, schedule: '0 2 * * *', options: ['--verbose'] }
notifications:
  - { type: webhook, on: failure, config: { url: https://h/x } }
";
    for (from, to) in spoilt {
        assert!(good.contains(from), "{from}");
        sandbox.configure(&good.replace(from, &to));
        let commands: [&[&str]; 5] = [
            &["list"],
            &["test"],
            &["backup"],
            &["status"],
            &["daemon", "--dry-run"],
        ];
        for command in commands {
            let output = sandbox.run(command);
            let said = output.text() + &output.stderr;
            assert!(!said.contains(CANARY), "{command:?} with {to}:\n{said}");
        }
    }
}
