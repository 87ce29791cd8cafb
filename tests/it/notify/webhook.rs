//! Webhooks: what is posted, and what the receiver's answers lead to.

use super::{NAME, configure, failing, good, webhook};
use crate::support::entry::Entry;
use crate::support::mail::{Certificate, Smtpd};
use crate::support::postgres::{large, postgres};
use crate::support::receiver::{Answer, Receiver};
use crate::support::sandbox::Sandbox;
use crate::support::scene::{MIDDLE, Scene};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn a_backup_that_ends_well_is_told_as_it_was_printed() {
    let (all, failures) = (Receiver::good(), Receiver::good());
    let routes = webhook(
        &format!("{}/hook?a=b", all.url),
        "headers: { Authorization: 'Bearer ${TOKEN}' }",
    ) + &webhook(&failures.url, "").replace("success, ", "");
    let sandbox = good(&routes).with("TOKEN", "t0k");
    let output = sandbox.run(&["backup"]).exits(0);
    assert_eq!(output.warnings(), [""; 0]);

    let request = all.request();
    assert_eq!((&*request.method, &*request.path), ("POST", "/hook?a=b"));
    assert_eq!(request.header("authorization"), Some("Bearer t0k"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let event = request.json();
    let line = output.text();
    let fields: Vec<&str> = line.trim_end().split('\t').collect();
    assert_eq!(event["db"], NAME);
    assert_eq!(event["status"], "success");
    assert_eq!(event["bytes"], fields[2].parse::<u64>().expect("a number"));
    assert_eq!(event["dest"], fields[3]);
    assert_eq!(event["duration"], fields[4]);
    assert!(event["duration_seconds"].is_f64());
    assert_eq!(event["kind"], "backup");
    assert_eq!(event["recovered"], false);
    assert!(event.get("error").is_none());
    let archive = std::fs::metadata(fields[3]).expect("dest is the archive");
    assert_eq!(event["bytes"], archive.len());
    assert_eq!((all.rest().len(), failures.rest().len()), (0, 0));
}

#[test]
fn a_failure_is_told_with_its_reason_and_what_to_try() {
    let (all, successes) = (Receiver::good(), Receiver::good());
    let routes = webhook(&all.url, "") + &webhook(&successes.url, "").replace(", failure", "");
    let output = failing(&routes).run(&["backup", "--json"]).exits(1);
    let said: serde_json::Value = output
        .text()
        .lines()
        .next()
        .and_then(|line| serde_json::from_str(line).ok())
        .expect("a line of JSON");
    let event = all.request().json();
    assert_eq!(event["status"], "failure");
    assert_eq!(event["error"], said["error"]["message"]);
    assert_eq!(event["error_kind"], "unavailable");
    assert_eq!(event["hint"], said["error"]["hint"]);
    assert_eq!((&event["bytes"], &event["dest"]), (&json!(0), &json!("-")));
    assert_eq!(event["duration"], said["duration"]);
    assert_eq!(successes.rest().len(), 0);
}

#[test]
fn each_database_is_told_of_by_itself() {
    let receiver = Receiver::good();
    let database = postgres(18).create_database("told");
    let sandbox = Sandbox::new(18);
    let closed = "host: 127.0.0.1, port: 1, database: d, user: u";
    let entries = [
        Entry::of(&database).named("one"),
        Entry::new("two", closed.into()),
        Entry::of(&database).named("three"),
    ];
    configure(&sandbox, &webhook(&receiver.url, ""), &entries);
    sandbox.run(&["backup"]).exits(3);
    let told: Vec<_> = receiver
        .rest()
        .iter()
        .map(|request| {
            let event = request.json();
            (event["db"].clone(), event["status"].clone())
        })
        .collect();
    assert_eq!(
        told,
        [("one", "success"), ("two", "failure"), ("three", "success")]
            .map(|(db, status)| (json!(db), json!(status)))
    );
}

#[test]
fn a_missing_copy_is_told_as_a_failure_that_has_bytes() {
    let receiver = Receiver::good();
    let database = postgres(18).create_database("told");
    let sandbox = Sandbox::new(18);
    std::fs::write(sandbox.path("full"), "a file").expect("write a file");
    let entry = Entry::of(&database).named(NAME).storage("[local, broken]");
    sandbox.configure(&format!(
        "version: 1
storage:
  - {{ name: local, type: local, local: {{ path: '{}' }} }}
  - {{ name: broken, type: local, local: {{ path: '{}' }} }}
notifications:
{}databases:
{}",
        sandbox.path("storage").display(),
        sandbox.path("full").display(),
        webhook(&receiver.url, ""),
        entry.to_yaml()
    ));
    let output = sandbox.run(&["backup"]).exits(3);
    let line = output.text();
    let fields: Vec<&str> = line.trim_end().split('\t').collect();
    let event = receiver.request().json();
    assert_eq!(
        (&event["status"], &event["outcome"]),
        (&json!("failure"), &json!("degraded"))
    );
    assert_eq!(event["bytes"], fields[2].parse::<u64>().expect("a number"));
    assert_eq!(event["dest"], fields[3]);
    let error = event["error"].as_str().expect("an error");
    assert!(error.contains("not on the storage broken"), "{error}");
}

#[test]
fn a_success_says_that_old_backups_were_not_removed() {
    let receiver = Receiver::good();
    let sandbox = Sandbox::new(18);
    for major in [17, 18] {
        let database = postgres(major).create_database("told");
        let entry = Entry::of(&database).named(NAME).retention("keep_last: 1");
        configure(&sandbox, &webhook(&receiver.url, ""), &[entry]);
        sandbox.run(&["backup"]).exits(0);
    }
    let events: Vec<_> = receiver
        .rest()
        .iter()
        .map(|request| request.json())
        .collect();
    assert_eq!(events[0]["warnings"], json!([]));
    assert_eq!(events[1]["status"], "success");
    let warning = events[1]["warnings"][0].as_str().expect("a warning");
    assert!(
        warning.starts_with("old backups on the storage local were not removed: "),
        "{warning}"
    );
}

#[test]
fn a_receiver_is_trusted_by_the_roots_or_by_the_authority_that_is_named() {
    const SERVER: &str = r#"
import http.server, os, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;
    let (certificate, other) = (Certificate::new(), Certificate::new());
    let server = Smtpd::python(SERVER, &certificate.pair());
    let url = format!("https://localhost:{}/hook", server.port);
    let output = good(&webhook(
        &url,
        &format!("ca_file: '{}'", certificate.authority()),
    ))
    .run(&["backup"])
    .exits(0);
    assert_eq!(output.warnings(), [""; 0]);
    for more in [format!("ca_file: '{}'", other.authority()), String::new()] {
        let output = good(&webhook(&url, &more)).run(&["backup"]).exits(0);
        let warnings = output.warnings();
        assert!(
            warnings[0].contains("no trusted connection to localhost"),
            "{warnings:?}"
        );
    }
}

#[test]
fn what_may_pass_is_tried_three_times_and_nothing_else_twice() {
    let answer = Answer::status;
    for (answers, requests, warns) in [
        (vec![answer(204)], 1, false),
        (vec![answer(500), answer(503), answer(200)], 3, false),
        (vec![Answer::Reset, answer(429), answer(200)], 3, false),
        (vec![answer(500)], 3, true),
        (vec![answer(404)], 1, true),
        (vec![answer(400)], 1, true),
    ] {
        let receiver = Receiver::start(&answers);
        let output = good(&webhook(&receiver.url, "")).run(&["backup"]).exits(0);
        assert_eq!(receiver.rest().len(), requests, "{answers:?}");
        assert_eq!(!output.warnings().is_empty(), warns, "{}", output.stderr);
    }
}

#[test]
fn a_redirect_is_not_followed_and_the_warning_says_where_it_leads() {
    let target = Receiver::good();
    let location = format!(
        "location: {}/secret-path\r\n",
        target.url.replace("127.0.0.1", "localhost")
    );
    let receiver = Receiver::start(&[Answer::Status(302, location)]);
    let output = good(&webhook(&format!("{}/t0k", receiver.url), ""))
        .run(&["backup"])
        .exits(0);
    assert_eq!((receiver.rest().len(), target.rest().len()), (1, 0));
    assert_eq!(
        output.warnings(),
        [format!(
            "notifications[0] (webhook) was not told: {} answered 302 Found and points to localhost; redirects are not \
             followed",
            receiver.url.trim_start_matches("http://")
        )]
    );
}

#[test]
fn a_receiver_that_hangs_keeps_no_other_from_being_told() {
    let (hanging, good_one) = (Receiver::start(&[Answer::Hang]), Receiver::good());
    let sandbox = good(&(webhook(&hanging.url, "") + &webhook(&good_one.url, "")));
    let output = sandbox.run(&["backup"]).exits(0);
    assert_eq!(good_one.rest().len(), 1);
    let warnings = output.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let host = hanging.url.trim_start_matches("http://");
    assert!(warnings[0].starts_with(&format!(
        "notifications[0] (webhook) was not told: {host} did not answer in time"
    )));
}

#[test]
fn an_unset_variable_leaves_its_route_out_and_no_other() {
    let receiver = Receiver::good();
    let sandbox = good(&(webhook("${NOT_SET}", "") + &webhook(&receiver.url, "")));
    let output = sandbox.run(&["backup"]).exits(0);
    assert_eq!(receiver.rest().len(), 1);
    assert_eq!(
        output.warnings(),
        [
            "notifications[0] (webhook) is left out: notifications[0].config.url needs the variable NOT_SET, which is not set"
        ]
    );
}

#[test]
fn a_run_that_a_signal_ends_is_told_as_a_failure() {
    for (signal, name, status) in [(Signal::TERM, "SIGTERM", 143), (Signal::INT, "SIGINT", 130)] {
        let receiver = Receiver::good();
        let scene = Scene::new();
        scene.sandbox.configure_in(
            &scene.storage,
            &format!("notifications:\n{}", webhook(&receiver.url, "")),
            &[Entry::of(large()).named(crate::support::scene::NAME)],
        );
        let run = scene.sandbox.start(&["backup"]);
        scene.wait_for_archive(MIDDLE);
        run.signal(signal);
        run.wait().exits(status);
        let event = receiver.request().json();
        assert_eq!(event["status"], "failure");
        let error = event["error"].as_str().expect("an error");
        assert!(error.contains(&format!("stopped by {name}")), "{error}");
        assert_eq!(event["error_kind"], "cancelled");
        assert_eq!(receiver.rest().len(), 0);
        scene.is_as_before();
    }
}

#[test]
fn a_second_signal_ends_the_telling_at_once() {
    let receiver = Receiver::start(&[Answer::Hang]);
    let sandbox = failing(&webhook(&receiver.url, ""));
    let run = sandbox.start(&["backup"]);
    receiver.request();
    run.signal(Signal::TERM);
    run.signal(Signal::INT);
    let output = run.wait();
    assert!([Some(130), Some(143)].contains(&output.status.code()));
    // which there would be, had it waited until nobody had answered
    assert_eq!(output.warnings(), [""; 0], "{}", output.stderr);
}

#[test]
fn slack_and_discord_get_messages_that_they_understand() {
    let receiver = Receiver::good();
    failing(&webhook(&receiver.url, "template: slack"))
        .run(&["backup"])
        .exits(1);
    let message = receiver.request().json();
    let text = message["text"].as_str().expect("a text");
    assert!(text.starts_with("*FAILED: backup of app on "), "{text}");
    assert!(
        text.contains("\ntry: backupkit backup --db app\n"),
        "{text}"
    );

    failing(&webhook(&receiver.url, "template: discord"))
        .run(&["backup"])
        .exits(1);
    let message = receiver.request().json();
    let content = message["content"].as_str().expect("a content");
    assert!(
        content.starts_with("**FAILED: backup of app on "),
        "{content}"
    );
}

#[test]
fn ntfy_gets_a_title_and_a_priority() {
    let receiver = Receiver::good();
    let route = webhook(&format!("{}/topic", receiver.url), "template: ntfy");
    failing(&route).run(&["backup"]).exits(1);
    let request = receiver.request();
    assert_eq!(request.path, "/topic");
    let title = request.header("title").expect("a title");
    assert!(title.starts_with("FAILED: backup of app on "), "{title}");
    assert_eq!(request.header("priority"), Some("high"));
    assert!(request.body.contains("cannot connect"), "{}", request.body);
}

#[test]
fn every_webhook_may_have_an_address_for_each_database() {
    for template in ["json", "ntfy"] {
        let receiver = Receiver::good();
        let route = webhook(
            &format!("{}/of/{{db}}", receiver.url),
            &format!("template: {template}"),
        );
        let sandbox = good(&route);
        sandbox.run(&["backup"]).exits(0);
        sandbox.run(&["test", "--send"]).exits(0);
        let requests = receiver.rest();
        let paths: Vec<&str> = requests.iter().map(|request| &*request.path).collect();
        assert_eq!(paths, [format!("/of/{NAME}"), format!("/of/{NAME}")]);
    }
}

#[test]
fn healthchecks_is_pinged_at_the_start_and_at_the_end() {
    let receiver = Receiver::good();
    let route = webhook(
        &format!("{}/key/{{db}}", receiver.url),
        "template: healthchecks",
    );
    good(&route).run(&["backup"]).exits(0);
    failing(&route).run(&["backup"]).exits(1);
    // without a success to come, a start would be the beginning of an alarm
    failing(&route.replace("success, ", ""))
        .run(&["backup"])
        .exits(1);
    let requests = receiver.rest();
    let paths: Vec<&str> = requests.iter().map(|request| &*request.path).collect();
    assert_eq!(
        paths,
        [
            "/key/app/start",
            "/key/app",
            "/key/app/start",
            "/key/app/fail",
            "/key/app/fail"
        ]
    );
    assert!(
        requests[3].body.contains("cannot connect"),
        "{}",
        requests[3].body
    );
}

/// One event for a database, however many copies were checked; both kinds under the same `on`.
#[test]
fn a_check_is_told_as_it_ended() {
    let (all, failures) = (Receiver::good(), Receiver::good());
    let routes = webhook(&all.url, "") + &webhook(&failures.url, "").replace("success, ", "");
    let sandbox = good(&routes);
    let first = sandbox.run(&["backup"]).exits(0).text();
    let archive = std::path::PathBuf::from(first.split('\t').nth(3).expect("a destination"));
    sandbox.run(&["backup"]).exits(0);
    let told = all.rest();
    assert!(
        told.iter()
            .all(|request| request.json()["kind"] == "backup")
    );
    sandbox.run(&["verify", "--all"]).exits(0);
    let event = all.request().json();
    assert_eq!(
        (&event["kind"], &event["status"]),
        (&json!("verify"), &json!("success"))
    );
    assert_eq!(
        (&event["db"], &event["dest"]),
        (&json!(NAME), &json!("2 copies"))
    );

    let file = std::fs::File::options()
        .write(true)
        .open(&archive)
        .expect("the archive");
    file.set_len(1000).expect("cut");
    sandbox.run(&["verify", "--all"]).exits(13);
    for receiver in [all, failures] {
        let event = receiver.request().json();
        assert_eq!(
            (&event["kind"], &event["status"]),
            (&json!("verify"), &json!("failure"))
        );
        assert_eq!(event["error_kind"], "damaged");
        let error = event["error"].as_str().expect("why");
        assert!(
            error.contains(&format!("{} is bad", archive.display())),
            "{error}"
        );
        assert_eq!(receiver.rest().len(), 0);
    }
}

#[test]
fn a_check_that_could_not_ask_a_storage_is_no_success() {
    let told = Receiver::good();
    let database = postgres(18).create_database("told");
    let sandbox = Sandbox::new(18);
    let entry = Entry::of(&database).named(NAME);
    configure(&sandbox, &webhook(&told.url, ""), &[entry]);
    sandbox.run(&["backup"]).exits(0);
    assert_eq!(told.request().json()["status"], "success");
    let config = sandbox.path("config.yaml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let two = text.replace(
        "databases:",
        "  - { name: gone, type: s3, s3: { bucket: b, region: r, endpoint: 'http://127.0.0.1:1', access_key: a, secret_key: s } }\ndatabases:",
    );
    let two = two.replace("storage: local\n", "storage: [local, gone]\n");
    std::fs::write(&config, two).expect("write it");
    sandbox.run(&["verify"]).exits(3);
    let event = told.request().json();
    assert_eq!(
        (&event["kind"], &event["status"]),
        (&json!("verify"), &json!("failure"))
    );
    let error = event["error"].as_str().expect("why");
    assert!(error.contains("storage gone: "), "{error}");
}
