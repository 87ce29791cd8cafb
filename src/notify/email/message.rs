//! An event as a mail: headers that nothing in it can break, and a text that any reader shows.

use super::subject::subject;
use crate::config::{Email, Mailbox};
use crate::error::{Doing, Result};
use crate::notify::event::Event;
use crate::notify::text;
use chrono::{DateTime, Utc};
use mail_send::mail_builder::MessageBuilder;
use mail_send::mail_builder::headers::address::Address;
use mail_send::mail_builder::headers::raw::Raw;
use mail_send::mail_builder::mime::make_boundary;

/// The message as it goes over the wire.
pub fn compose(email: &Email, event: &Event, now: DateTime<Utc>) -> Result<Vec<u8>> {
    let domain = email.from.address.rsplit('@').next().unwrap_or("localhost");
    MessageBuilder::new()
        .from(mailbox(&email.from))
        .to(Address::new_list(email.to.iter().map(mailbox).collect()))
        .subject(subject(event))
        .date(now.timestamp())
        .message_id(format!("{}@{domain}", make_boundary(".")))
        // no answers of absent people, and no loops (RFC 3834)
        .header("Auto-Submitted", Raw::new("auto-generated"))
        .text_body(text::full(event))
        .write_to_vec()
        .doing(|| "cannot write the mail")
}

fn mailbox(mailbox: &Mailbox) -> Address<'_> {
    Address::new_address(mailbox.name.as_deref(), mailbox.address.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tls;
    use crate::notify::event::EventKind;
    use std::time::Duration;

    /// The header lines, folded ones put together again.
    fn headers(mail: &[u8]) -> Vec<String> {
        let mail = String::from_utf8(mail.to_vec()).unwrap();
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        head.split("\r\n").map(str::to_string).collect()
    }

    #[test]
    fn nothing_in_an_event_makes_a_header_of_its_own_or_an_end() {
        let evil =
            "x\r\nBcc: a@evil.example\r\n\r\n.\r\nMAIL FROM:<a@evil.example>\n\rX: y\u{2028}ü";
        let mut event = Event::new(
            EventKind::Backup,
            evil,
            DateTime::UNIX_EPOCH,
            Duration::from_secs(1),
        );
        event.host = evil.into();
        event.dest = evil.into();
        event.bytes = 1;
        event.error = Some(format!("{evil}{}", "long ".repeat(10_000)));
        event.warnings = vec![evil.into()];
        event.hint = Some(evil.into());
        let email = Email {
            host: "localhost".into(),
            port: 25,
            tls: Tls::None,
            ca_file: None,
            login: None,
            from: Mailbox {
                name: Some("Bäckup, \"the\" <one>".into()),
                address: "b@example.com".into(),
            },
            to: vec![
                Mailbox {
                    name: None,
                    address: "a@example.com".into(),
                };
                50
            ],
        };
        let mail = compose(&email, &event, DateTime::UNIX_EPOCH).unwrap();
        let names: Vec<String> = headers(&mail)
            .iter()
            .map(|line| line.split(':').next().unwrap().to_string())
            .collect();
        assert_eq!(
            names,
            [
                "From",
                "To",
                "Subject",
                "Date",
                "Message-ID",
                "Auto-Submitted",
                "MIME-Version",
                "Content-Type",
                "Content-Transfer-Encoding"
            ]
        );
        let text = String::from_utf8(mail).unwrap();
        assert!(text.is_ascii());
        for line in text.split("\r\n") {
            assert!(
                line.len() <= 998 && !line.contains(['\r', '\n']),
                "{line:?}"
            );
            assert_ne!(line, ".");
        }
        assert!(text.contains("Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n"));
    }
}
