//! What a webhook is sent, for each kind of receiver.

use super::event::{Event, EventKind, EventOutcome};
use super::text;
use crate::config::{PER_DATABASE, Webhook, WebhookTemplate};
use crate::text::cut::cut_bytes;
use base64ct::{Base64, Encoding};
use serde_json::json;

/// The longest messages: Discord refuses longer ones, ntfy makes files of them, and Slack cuts them at odd places.
const DISCORD: usize = 1900;
const NTFY: usize = 3500;
const SLACK: usize = 3500;

/// One request.
pub struct Post {
    /// A secret, or near enough.
    pub url: String,
    /// Headers of ours.
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// How `event` is posted.
pub fn post(template: WebhookTemplate, webhook: &Webhook, event: &Event) -> Post {
    let url = &address(webhook, &event.db);
    let headline = text::headline(event);
    let message = |body: serde_json::Value| Post {
        url: url.to_string(),
        headers: vec![("content-type", "application/json".into())],
        body: body.to_string(),
    };
    match template {
        WebhookTemplate::Json => message(event.json()),
        WebhookTemplate::Slack => {
            let text = text::short(event, SLACK);
            message(json!({ "text": format!("*{}*\n{}", slack(&headline), slack(&text)) }))
        }
        WebhookTemplate::Discord => {
            let text = text::short(event, DISCORD - cut_bytes(&headline, 400).len());
            message(json!({
                "content": format!("**{}**\n{text}", cut_bytes(&headline, 400)),
                // an error that says @everyone wakes nobody but those who read here
                "allowed_mentions": { "parse": [] },
            }))
        }
        WebhookTemplate::Ntfy => {
            let (priority, tags) = match event.outcome {
                EventOutcome::Ok if event.warnings.is_empty() => ("default", "white_check_mark"),
                EventOutcome::Ok => ("default", "warning"),
                EventOutcome::Degraded | EventOutcome::Failed => ("high", "rotating_light"),
            };
            Post {
                url: url.to_string(),
                headers: vec![
                    ("content-type", "text/plain; charset=utf-8".into()),
                    ("title", header_text(&headline)),
                    ("priority", priority.into()),
                    ("tags", tags.into()),
                ],
                body: text::short(event, NTFY),
            }
        }
        WebhookTemplate::Healthchecks => {
            let signal = match (event.kind, event.is_success()) {
                (_, false) => "/fail",
                (EventKind::Backup, true) => "",
                // to succeed at anything else is no sign that the backup ran
                (EventKind::Verify | EventKind::Test, true) => "/log",
            };
            ping(url, signal, text::full(event))
        }
    }
}

/// How Healthchecks hears that a run begins.
pub fn start(webhook: &Webhook, db: &str) -> Post {
    ping(&address(webhook, db), "/start", String::new())
}

/// The URL, with the name of the database where it wants it.
fn address(webhook: &Webhook, db: &str) -> String {
    webhook.url.expose().replace(PER_DATABASE, &encoded(db))
}

/// A ping goes to a path below the URL of its check, in front of what the URL asks for.
fn ping(url: &str, signal: &str, body: String) -> Post {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (check, rest) = url.split_at(end);
    Post {
        url: format!("{}{signal}{rest}", check.trim_end_matches('/')),
        headers: vec![("content-type", "text/plain; charset=utf-8".into())],
        body,
    }
}

/// `text` as one segment of a URL's path.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// The three characters that mean something to Slack; without them nobody is called by name.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A header holds ASCII alone; ntfy reads anything else as mail does (RFC 2047).
fn header_text(text: &str) -> String {
    match text.is_ascii() {
        true => text.to_string(),
        false => format!("=?UTF-8?B?{}?=", Base64::encode_string(text.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use chrono::DateTime;
    use std::time::Duration;

    fn event() -> Event {
        let mut event = Event::new(
            EventKind::Backup,
            "größe/1",
            DateTime::UNIX_EPOCH,
            Duration::from_millis(62_500),
        );
        event.host = "db1".into();
        event
    }

    fn at(url: &str) -> Webhook {
        Webhook {
            url: Secret::new(url),
            headers: Vec::new(),
            ca_file: None,
        }
    }

    #[test]
    fn a_ping_goes_below_the_url_of_its_check() {
        let failed = Event {
            outcome: EventOutcome::Failed,
            ..event()
        };
        let verified = Event {
            kind: EventKind::Verify,
            ..event()
        };
        for (url, event, expected) in [
            ("https://hc/u-u", event(), "https://hc/u-u"),
            ("https://hc/u-u/", failed.clone(), "https://hc/u-u/fail"),
            (
                "https://hc/key/{db}?create=1",
                failed,
                "https://hc/key/gr%C3%B6%C3%9Fe%2F1/fail?create=1",
            ),
            ("https://hc/u-u", verified, "https://hc/u-u/log"),
        ] {
            assert_eq!(
                post(WebhookTemplate::Healthchecks, &at(url), &event).url,
                expected
            );
        }
        assert_eq!(
            start(&at("https://hc/u?a=b"), "x").url,
            "https://hc/u/start?a=b"
        );
    }

    #[test]
    fn a_long_error_fits_and_calls_nobody() {
        let event = Event {
            outcome: EventOutcome::Failed,
            error: Some("<!channel> @everyone ü\n".repeat(10_000)),
            hint: Some("x".repeat(10_000)),
            warnings: vec!["y".repeat(10_000)],
            ..event()
        };
        let body = |template| -> serde_json::Value {
            serde_json::from_str(&post(template, &at("https://h/x"), &event).body).unwrap()
        };
        let discord = body(WebhookTemplate::Discord);
        assert!(discord["content"].as_str().unwrap().chars().count() <= 2000);
        assert_eq!(discord["allowed_mentions"], json!({ "parse": [] }));
        let slack = body(WebhookTemplate::Slack);
        let slack = slack["text"].as_str().unwrap();
        assert!(!slack.contains("<!") && slack.contains("&lt;!channel&gt;"));
        let ntfy = post(WebhookTemplate::Ntfy, &at("https://h/x"), &event);
        assert!(ntfy.body.len() <= 4096);
        assert!(ntfy.headers.iter().all(|(_, value)| value.is_ascii()));
    }
}
