//! The keys under `notifications`.

use super::types::{EmailKeys, Notification, Route, Tls, WebhookKeys, WebhookTemplate};
use super::validate;
use crate::yaml::cursor::{KeyTable, Spot};
use crate::yaml::document::Node;
use crate::yaml::reader::KeyReader;
use crate::yaml::rules::{self, ValueFault};

pub(super) const NOTIFICATION: &[&str] = &["type", "on", "config"];
pub(super) const WEBHOOK: &[&str] = &["url", "headers", "template", "ca_file"];
pub(super) const EMAIL: &[&str] = &[
    "smtp_host",
    "smtp_port",
    "from",
    "to",
    "username",
    "password",
    "tls",
    "ca_file",
];
const TEMPLATES: &[(&str, WebhookTemplate)] = &[
    ("json", WebhookTemplate::Json),
    ("slack", WebhookTemplate::Slack),
    ("discord", WebhookTemplate::Discord),
    ("ntfy", WebhookTemplate::Ntfy),
    ("healthchecks", WebhookTemplate::Healthchecks),
];
const TLS: &[(&str, Tls)] = &[
    ("implicit", Tls::Implicit),
    ("starttls", Tls::StartTls),
    ("none", Tls::None),
];

impl KeyReader<'_> {
    pub(super) fn notification(&mut self, spot: &Spot) -> Option<Notification> {
        let table = self.table(spot, NOTIFICATION)?;
        let (on_success, on_failure) = self.events(&table);
        let kind = self.kind(&table, "webhook or email");
        let keys = self.require(&table, "config", "the address to notify");
        let route = match kind.as_deref()? {
            "webhook" => keys
                .and_then(|keys| self.webhook(&keys))
                .map(Route::Webhook),
            "email" => keys
                .and_then(|keys| self.email(&keys))
                .map(|keys| Route::Email(Box::new(keys))),
            other => {
                self.unknown_kind(&table, other, "webhook or email");
                None
            }
        };
        Some(Notification {
            field: spot.path.clone(),
            on_success,
            on_failure,
            route: route?,
        })
    }

    fn events(&mut self, table: &KeyTable) -> (bool, bool) {
        let hint = "success, failure or both: on: [success, failure]";
        let (mut success, mut failure) = (false, false);
        let Some(spot) = self.require(table, "on", hint) else {
            return (success, failure);
        };
        let items = self.one_or_more(&spot);
        if items.as_ref().is_some_and(Vec::is_empty) {
            self.problem(&spot, ValueFault::new("is empty").hint(hint));
        }
        for item in items.unwrap_or_default() {
            let Some(word) = self.word(&item, rules::anything) else {
                continue;
            };
            match word.trim().to_lowercase().as_str() {
                "success" => success = true,
                "failure" => failure = true,
                "both" => (success, failure) = (true, true),
                _ => {
                    let found = rules::shown(&word);
                    let what = format!("must be success, failure or both, found {found}");
                    self.problem(&item, ValueFault::new(what));
                }
            }
        }
        (success, failure)
    }

    fn webhook(&mut self, spot: &Spot) -> Option<WebhookKeys> {
        let table = self.table(spot, WEBHOOK)?;
        let url = self
            .require(&table, "url", "such as https://hooks.example.com/backup")
            .and_then(|spot| self.secret(&spot, validate::webhook_url));
        let template = self.choice(&table, "template", TEMPLATES);
        let headers = table.get("headers").and_then(|spot| self.mapping(&spot));
        let mut pairs = Vec::new();
        for (name, mut spot) in headers.iter().flat_map(KeyTable::all) {
            if let (Node::Nothing, Some(headers)) = (spot.node, &headers) {
                // what has no value may be a value itself
                spot.path = headers.spot.path.clone();
                self.key_problem(&spot, ValueFault::new("has a header without a value"));
                continue;
            }
            if !validate::is_header_name(name) {
                self.key_problem(
                    &spot,
                    ValueFault::new("is not a header name").hint("such as Authorization"),
                );
            }
            let value = self.secret(&spot, validate::header_value);
            if let Some(value) = value {
                if names_a_secret(name) && value.literal().is_some() {
                    self.plain_secrets.push(spot.path.clone());
                }
                pairs.push((name.to_owned(), value));
            }
        }
        Some(WebhookKeys {
            url: url?,
            headers: pairs,
            template: template.unwrap_or(WebhookTemplate::Json),
            ca_file: self.optional_path(&table, "ca_file"),
        })
    }

    fn email(&mut self, spot: &Spot) -> Option<EmailKeys> {
        let table = self.table(spot, EMAIL)?;
        let smtp_host = self.required_text(
            &table,
            "smtp_host",
            "such as smtp.example.com",
            validate::host,
        );
        let smtp_port = self
            .require(&table, "smtp_port", "587, 465 or 25")
            .and_then(|spot| self.port(&spot));
        let from = self.required_text(
            &table,
            "from",
            "the sender's address",
            validate::mail_address,
        );
        let to = self.required_text(
            &table,
            "to",
            "one address, or several with commas",
            validate::mail_addresses,
        );
        self.both_or_neither(&table, "username", "password");
        let tls = self.choice(&table, "tls", TLS);
        if let (Some(Tls::None), Some(login)) = (tls, table.get("username")) {
            self.key_problem(
                &login,
                ValueFault::new("would be sent in the clear")
                    .hint("set tls to starttls or implicit, or leave the login out"),
            );
        }
        Some(EmailKeys {
            username: self.optional_text(&table, "username", rules::no_control),
            password: table.get("password").and_then(|spot| self.password(&spot)),
            tls,
            ca_file: self.optional_path(&table, "ca_file"),
            smtp_host: smtp_host?,
            smtp_port: smtp_port?,
            from: from?,
            to: to?,
        })
    }

    /// The meaning of a key that takes one of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        table: &KeyTable,
        key: &str,
        known: &[(&str, T)],
    ) -> Option<T> {
        let spot = table.get(key)?;
        let word = self.word(&spot, rules::anything)?;
        let word = word.trim().to_lowercase();
        let meaning = known.iter().find(|(name, _)| *name == word);
        if meaning.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            if let Err(fault) = rules::one_of(&word, &names) {
                self.problem(&spot, fault);
            }
        }
        meaning.map(|(_, meaning)| *meaning)
    }

    /// A check that several databases ping is as green as the last of them.
    pub(super) fn one_check_each(&mut self, routes: &[Notification], databases: usize) {
        for route in routes {
            if databases > 1
                && let Route::Webhook(keys) = &route.route
                && keys.template == WebhookTemplate::Healthchecks
                && keys
                    .url
                    .resolve(self.env)
                    .is_ok_and(|url| !url.expose().contains(PER_DATABASE))
            {
                self.warnings.push(format!(
                    "{}: all {databases} databases ping one check, which shows only the last of them; \
                     write {PER_DATABASE} where the URL names the check",
                    keys.url.field()
                ));
            }
        }
    }
}

/// Stands for the name of the database in the URL of a webhook.
pub const PER_DATABASE: &str = "{db}";

/// Headers with credentials as their values.
fn names_a_secret(header: &str) -> bool {
    let header = header.to_ascii_lowercase();
    let words = ["auth", "token", "key", "secret", "cookie", "password"];
    words.iter().any(|word| header.contains(word))
}
