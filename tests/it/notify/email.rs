//! Mail, through aiosmtpd and exim.

use super::{failing, good};
use crate::support::mail::{Certificate, Exim, Smtpd, USER};
use crate::support::program::Output;
use serde_json::{Value, json};

const PASSWORD: &str = "pa:ss wörd";

/// A route to this port; `more` are further keys.
fn email(port: u16, more: &str) -> String {
    format!(
        "  - {{ type: email, on: [success, failure], config: {{ smtp_host: localhost, smtp_port: {port}, \
         from: 'Bäckups <backups@example.com>', to: 'a@example.com, Ops <b@example.com>', {more} }} }}\n"
    )
}

fn login(certificate: &Certificate, more: &str) -> String {
    let ca = certificate.authority();
    format!("username: {USER}, password: '${{SMTP_PASSWORD}}', ca_file: '{ca}', {more}")
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let headers = mail["headers"].as_array().expect("a list");
    let mut found = headers.iter().filter(|pair| pair[0] == name);
    let value = found.next().and_then(|pair| pair[1].as_str());
    assert!(found.next().is_none(), "{name} is there twice");
    value.unwrap_or_else(|| panic!("no {name} in {headers:?}"))
}

/// The one warning of a backup whose mail was not sent.
#[track_caller]
fn warning(output: &Output) -> &str {
    let warnings = output.warnings();
    assert_eq!(warnings.len(), 1, "{}", output.stderr);
    let said = warnings[0].strip_prefix("notifications[0] (email) was not told: ");
    said.unwrap_or_else(|| panic!("{warnings:?}"))
}

#[test]
fn a_mail_says_at_night_what_happened_and_what_to_do() {
    let server = Smtpd::plain();
    failing(&email(server.port, "")).run(&["backup"]).exits(1);
    let mail = server.mail();
    assert_eq!(mail["sender"], "backups@example.com");
    assert_eq!(
        mail["recipients"],
        json!(["a@example.com", "b@example.com"])
    );
    assert!(header(&mail, "Subject").starts_with("[backupkit] FAILED: backup of app on "));
    assert_eq!(header(&mail, "From"), "Bäckups <backups@example.com>");
    assert_eq!(header(&mail, "To"), "a@example.com, Ops <b@example.com>");
    assert!(header(&mail, "Date").ends_with(" +0000"));
    assert!(header(&mail, "Message-ID").ends_with("@example.com>"));
    assert_eq!(header(&mail, "MIME-Version"), "1.0");
    assert_eq!(
        header(&mail, "Content-Type"),
        "text/plain; charset=\"utf-8\""
    );
    let text = mail["text"].as_str().expect("a text");
    for part in [
        "There is no new backup; earlier ones were not touched.",
        "cannot connect to 127.0.0.1:1/d",
        "is the server running",
        "backupkit backup --db app",
        "backupkit list --db app",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let raw = mail["raw"].as_str().expect("the mail");
    assert!(
        raw.split("\r\n")
            .all(|line| line.len() <= 998 && !line.contains(['\r', '\n']))
    );
}

#[test]
fn a_login_goes_over_starttls_or_tls_by_either_mechanism() {
    let certificate = Certificate::new();
    for (tls, mechanism) in [
        ("starttls", "PLAIN"),
        ("starttls", "LOGIN"),
        ("implicit", "PLAIN"),
    ] {
        let asked = json!({ "tls": tls, "logins": [mechanism], "password": PASSWORD });
        let server = Smtpd::start(Some(&certificate), asked);
        // STARTTLS is what a login has on any port but 465
        let tls = if tls == "implicit" {
            "tls: implicit"
        } else {
            ""
        };
        let route = email(server.port, &login(&certificate, tls));
        let output = good(&route)
            .with("SMTP_PASSWORD", PASSWORD)
            .run(&["backup"])
            .exits(0);
        assert_eq!(output.warnings(), [""; 0]);
        let told = server.end();
        assert_eq!(told[0], json!({ "kind": "login", "mechanism": mechanism }));
        assert_eq!(told[1]["encrypted"], true);
        assert!(header(&told[1], "Subject").starts_with("[backupkit] ok: backup of app on "));
    }
}

#[test]
fn exim_takes_the_mail_too() {
    let certificate = Certificate::new();
    let exim = Exim::start(&certificate, "password");
    for (port, tls) in [
        (exim.tls, "tls: implicit"),
        (exim.starttls, "tls: starttls"),
    ] {
        let route = email(port, &login(&certificate, tls)).replace("Ops <b@", "Ops <nobody@");
        let output = good(&route)
            .with("SMTP_PASSWORD", "password")
            .run(&["backup"])
            .exits(0);
        let warning = warning(&output);
        assert!(
            warning.contains("nobody@example.com is refused")
                && warning.contains("there is nobody of that name")
        );
        assert!(warning.ends_with("; the others have the mail"), "{warning}");
    }
    let (mails, log) = exim.taken();
    let taken = log
        .lines()
        .filter(|line| line.contains(" <= backups@example.com "));
    assert_eq!(
        mails
            .matches("Subject: [backupkit] ok: backup of app on ")
            .count(),
        2,
        "{mails}"
    );
    assert_eq!(
        taken
            .clone()
            .filter(|line| line.contains(" A=login:keeper"))
            .count(),
        2,
        "{log}"
    );
    assert_eq!(
        taken.filter(|line| line.contains(" X=TLS1.3")).count(),
        2,
        "{log}"
    );

    let route = email(exim.starttls, &login(&certificate, ""));
    let output = good(&route)
        .with("SMTP_PASSWORD", "wrong")
        .run(&["backup"])
        .exits(0);
    assert!(
        warning(&output).contains(" refused the login: 535"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_certificate_of_nobody_gets_neither_login_nor_mail() {
    let (certificate, other) = (Certificate::new(), Certificate::new());
    for tls in ["starttls", "implicit"] {
        let asked = json!({ "tls": tls, "logins": ["PLAIN"], "password": PASSWORD });
        let server = Smtpd::start(Some(&certificate), asked);
        let tls = format!("tls: {tls}");
        let port = server.port;
        for route in [
            email(port, &login(&other, &tls)),
            email(
                port,
                &format!("username: {USER}, password: '${{SMTP_PASSWORD}}', {tls}"),
            ),
            email(port, &login(&certificate, &tls)).replace("localhost", "127.0.0.1"),
        ] {
            let output = good(&route)
                .with("SMTP_PASSWORD", PASSWORD)
                .run(&["backup"])
                .exits(0);
            let warning = warning(&output);
            assert!(warning.contains("no trusted connection to "), "{warning}");
        }
        assert_eq!(server.end(), [Value::Null; 0]);
    }
}

#[test]
fn nobody_logs_in_where_there_is_no_encryption() {
    let server = Smtpd::start(
        None,
        json!({ "logins": ["PLAIN", "LOGIN"], "password": PASSWORD }),
    );
    let login = format!("username: {USER}, password: '${{SMTP_PASSWORD}}'");
    let output = good(&email(server.port, &login))
        .with("SMTP_PASSWORD", PASSWORD)
        .run(&["backup"])
        .exits(0);
    assert!(
        warning(&output).contains("offers no STARTTLS"),
        "{}",
        output.stderr
    );
    let more = format!("{login}, tls: none");
    let refused = good(&email(server.port, &more)).run(&["backup"]).exits(2);
    assert!(
        refused.stderr.contains("would be sent in the clear"),
        "{}",
        refused.stderr
    );
    let output = good(&email(server.port, "tls: starttls"))
        .run(&["backup"])
        .exits(0);
    assert!(
        warning(&output).contains("offers no STARTTLS"),
        "{}",
        output.stderr
    );
    assert_eq!(server.end(), [Value::Null; 0]);
}

#[test]
fn the_others_get_the_mail_that_one_recipient_is_refused() {
    let server = Smtpd::start(None, json!({ "refuse": ["a@example.com"] }));
    let output = good(&email(server.port, "")).run(&["backup"]).exits(0);
    let said = warning(&output);
    assert!(said.starts_with("a@example.com is refused: "), "{said}");
    assert!(
        said.ends_with("there is nobody called a@example.com; the others have the mail"),
        "{said}"
    );
    assert_eq!(server.mail()["recipients"], json!(["b@example.com"]));

    let server = Smtpd::start(
        None,
        json!({ "refuse": ["a@example.com", "b@example.com"] }),
    );
    let output = good(&email(server.port, "")).run(&["backup"]).exits(0);
    assert!(
        !warning(&output).contains("the others"),
        "{}",
        output.stderr
    );
    assert_eq!(server.end(), [Value::Null; 0]);
}

#[test]
fn a_server_that_stalls_holds_nobody_for_long() {
    let certificate = Certificate::new();
    let servers = [
        json!({ "stall": "greeting" }),
        json!({ "stall": "greeting", "tls": "implicit" }),
        json!({ "stall": "data" }),
    ]
    .map(|asked| Smtpd::start(Some(&certificate), asked));
    let ca = format!("ca_file: '{}'", certificate.authority());
    let routes = email(servers[0].port, "")
        + &email(servers[1].port, &format!("{ca}, tls: implicit"))
        + &email(servers[2].port, "");
    let output = good(&routes).run(&["backup"]).exits(0);
    let warnings = output.warnings();
    assert_eq!(warnings.len(), 3, "{}", output.stderr);
    for warning in warnings {
        assert!(
            warning.contains("did not take the mail in time"),
            "{warning}"
        );
    }
}

#[test]
fn a_password_that_a_server_repeats_is_not_told() {
    let (certificate, password) = (Certificate::new(), "pa:ss word");
    for mechanism in ["PLAIN", "LOGIN"] {
        let asked = json!({ "tls": "starttls", "logins": [mechanism], "password": "another" });
        let server = Smtpd::start(Some(&certificate), asked);
        let route = email(server.port, &login(&certificate, ""));
        let output = good(&route)
            .with("SMTP_PASSWORD", password)
            .run(&["backup", "--verbose"])
            .exits(0);
        assert!(
            output
                .stderr
                .contains("refused the login: something that holds the password")
        );
        assert!(!output.stderr.contains(password), "{}", output.stderr);
    }
}
