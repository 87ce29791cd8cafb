//! Telling people: an event, and the routes it goes by.
//!
//! Every route that wants an event is tried, all at once and each under the same deadline, so that one that hangs
//! costs the others nothing. What goes wrong is handed back and never more than a warning: a backup is not
//! worse for nobody having been told.

mod email;
pub mod event;
mod template;
mod text;
mod webhook;

pub use event::{Event, EventKind, EventOutcome};

use crate::background;
use crate::cancel::Cancel;
use crate::config::{Email, Env, Notification, PER_DATABASE, Route, Webhook, WebhookTemplate};
use crate::error::{Error, Result};
use chrono::Utc;
use std::time::Duration;

/// How long a route waits before it tries again what may pass.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// What is left of the time at the end of a try, for telling what came of it.
const MARGIN: Duration = Duration::from_secs(1);
/// The longest try where nobody set a deadline.
const LONGEST: Duration = Duration::from_secs(30);

/// What came of telling.
#[derive(Debug, Default)]
pub struct Delivered {
    /// The routes that took it.
    pub reached: usize,
    /// What went wrong, each naming its route.
    pub failures: Vec<Error>,
}

impl Delivered {
    /// True unless everybody who wanted to know it was missed.
    pub fn is_heard(&self) -> bool {
        self.reached > 0 || self.failures.is_empty()
    }
}

/// Tells every route that wants it of `event`. Ends with `cancel`, which is to be a token with a deadline: not that of
/// the run, which may be over for the very thing to tell of.
pub fn tell(routes: &[Notification], event: &Event, env: &Env, cancel: &Cancel) -> Delivered {
    let wanted = routes.iter().filter(|route| wants(route, event));
    let deliveries = wanted.map(|route| (route, Delivery::of(route, event, env)));
    all(deliveries.collect(), cancel)
}

/// Tells the routes that want to know it (those to Healthchecks) that a run for `db` begins.
pub fn tell_start(
    routes: &[Notification],
    kind: EventKind,
    db: &str,
    env: &Env,
    cancel: &Cancel,
) -> Delivered {
    let start = |route| Some((route, Delivery::of_start(route, kind, db, env)?));
    all(routes.iter().filter_map(start).collect(), cancel)
}

/// Tells one route of `event`, whether it wants it or not. Some of several recipients refused are an error of
/// [`crate::error::Kind::Partial`].
pub fn send(route: &Notification, event: &Event, env: &Env, cancel: &Cancel) -> Result<()> {
    let delivery = Delivery::of(route, event, env);
    let mut told = all(vec![(route, delivery)], cancel);
    told.failures.pop().map_or(Ok(()), Err)
}

/// True where `route` has an address for each database.
pub fn is_per_database(route: &Notification, env: &Env) -> bool {
    match &route.route {
        Route::Webhook(keys) => {
            let webhook = keys.resolve(env);
            webhook.is_ok_and(|webhook| webhook.url.expose().contains(PER_DATABASE))
        }
        Route::Email(_) => false,
    }
}

/// Those who were told of a failure want to know that it is over.
fn wants(route: &Notification, event: &Event) -> bool {
    match (event.is_success(), event.recovered) {
        (true, true) => true,
        (true, false) => route.on_success,
        (false, _) => route.on_failure,
    }
}

/// Something to tell by one route, with all that it takes.
enum Delivery {
    Webhook(Box<webhook::Request>),
    Email {
        email: Box<Email>,
        message: Vec<u8>,
        host: String,
    },
}

impl Delivery {
    /// Fails where a variable of the route is not set.
    fn of(route: &Notification, event: &Event, env: &Env) -> Result<Delivery> {
        match &route.route {
            Route::Webhook(keys) => {
                let webhook = keys.resolve(env)?;
                Delivery::post(template::post(keys.template, &webhook, event), webhook)
            }
            Route::Email(keys) => {
                let email = keys.resolve(env)?;
                Ok(Delivery::Email {
                    message: email::message::compose(&email, event, Utc::now())?,
                    email: Box::new(email),
                    host: event.host.clone(),
                })
            }
        }
    }

    /// Without a success to come, a start would be the beginning of an alarm.
    fn of_start(
        route: &Notification,
        kind: EventKind,
        db: &str,
        env: &Env,
    ) -> Option<Result<Delivery>> {
        match &route.route {
            Route::Webhook(keys)
                if keys.template == WebhookTemplate::Healthchecks
                    && kind == EventKind::Backup
                    && route.on_success =>
            {
                let webhook = keys.resolve(env);
                Some(
                    webhook
                        .and_then(|webhook| Delivery::post(template::start(&webhook, db), webhook)),
                )
            }
            _ => None,
        }
    }

    fn post(post: template::Post, webhook: Webhook) -> Result<Delivery> {
        let request = webhook::Request::new(post, webhook.headers, webhook.ca_file)?;
        Ok(Delivery::Webhook(Box::new(request)))
    }

    /// Three tries while the trouble may pass and there is time.
    fn run(&self, cancel: &Cancel) -> Result<()> {
        let mut pauses = PAUSES.iter();
        loop {
            let left = cancel.left().unwrap_or(LONGEST);
            let left = left.checked_sub(MARGIN).unwrap_or(left);
            let error = match self.once(left) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let again = pauses.next().filter(|_| error.kind().may_pass());
            match again {
                Some(pause) if cancel.left().is_none_or(|left| left > *pause + MARGIN) => {
                    log::debug!("a notification is tried again: {}", error.chain());
                    cancel.pause(*pause)?;
                }
                _ => return Err(error),
            }
        }
    }

    fn once(&self, left: Duration) -> Result<()> {
        match self {
            Delivery::Webhook(request) => request.send(left),
            Delivery::Email {
                email,
                message,
                host,
            } => email::smtp::send(email, message, host, left),
        }
    }
}

/// Carries all of them out at once, and waits for the last or the end of `cancel`.
fn all(deliveries: Vec<(&Notification, Result<Delivery>)>, cancel: &Cancel) -> Delivered {
    let (mut reached, mut failures) = (0, Vec::new());
    let mut under_way = Vec::new();
    let (sender, receiver) = match background::mailbox() {
        Ok(mailbox) => mailbox,
        Err(error) => {
            failures.push(error.doing("nobody is notified"));
            return Delivered { reached, failures };
        }
    };
    for (route, delivery) in deliveries {
        let name = name(route);
        let started = delivery
            .map_err(|error| error.doing(format!("{name} is left out")))
            .and_then(|delivery| {
                let (sender, cancel, index) = (sender.clone(), cancel.clone(), under_way.len());
                background::spawn("notification", move || {
                    sender.send((index, delivery.run(&cancel)))
                })
            });
        match started {
            Ok(()) => under_way.push(Some(name)),
            Err(error) => failures.push(error),
        }
    }
    drop(sender);
    while under_way.iter().any(Option::is_some) {
        match receiver.receive(cancel) {
            Ok((index, result)) => {
                let name = under_way.get_mut(index).and_then(Option::take);
                // all but some recipients of a mail are a route that was reached
                if !matches!(&result, Err(error) if error.kind() != crate::error::Kind::Partial) {
                    reached += 1;
                }
                if let (Some(name), Err(error)) = (name, result) {
                    failures.push(error.doing(format!("{name} was not told")));
                }
            }
            Err(error) => {
                let waiting: Vec<String> = under_way.drain(..).flatten().collect();
                failures.push(error.doing(format!("{} may not be told", waiting.join(", "))));
            }
        }
    }
    Delivered { reached, failures }
}

/// `notifications[0] (webhook)`
fn name(route: &Notification) -> String {
    let kind = match &route.route {
        Route::Webhook(_) => "webhook",
        Route::Email(_) => "email",
    };
    format!("{} ({kind})", route.field())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use chrono::DateTime;

    #[test]
    fn a_recovery_is_for_whoever_was_told_of_the_failure_or_wants_successes() {
        let yaml = |on: &str| {
            format!(
                "version: 1\nstorage: [{{ name: s, type: local, local: {{ path: /s }} }}]\ndatabases: [{{ name: d, \
                 type: postgres, connection: {{ url: 'postgresql://u@h/d' }}, backup: {{ storage: s }} }}]\n\
                 notifications: [{{ type: webhook, on: {on}, config: {{ url: 'https://h' }} }}]"
            )
        };
        let event = |outcome, recovered| Event {
            outcome,
            recovered,
            ..Event::new(EventKind::Backup, "d", DateTime::UNIX_EPOCH, Duration::ZERO)
        };
        for (on, expected) in [
            ("success", [true, true, false, false]),
            ("failure", [false, true, true, true]),
            ("[success, failure]", [true; 4]),
        ] {
            let config = Config::parse("x", &yaml(on), &|_| None).unwrap();
            let events = [
                event(EventOutcome::Ok, false),
                event(EventOutcome::Ok, true),
                event(EventOutcome::Degraded, false),
                event(EventOutcome::Failed, false),
            ];
            let told = events.map(|event| wants(&config.notifications[0], &event));
            assert_eq!(told, expected, "{on}");
        }
    }
}
