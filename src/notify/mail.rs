//! An event as a mail: headers that nothing in it can break, and a text that any reader shows.

use super::{Event, text};
use crate::config::{Email, Mailbox};
use crate::error::{Doing, Result};
use chrono::{DateTime, Utc};
use mail_send::mail_builder::MessageBuilder;
use mail_send::mail_builder::headers::address::Address;
use mail_send::mail_builder::headers::raw::Raw;
use mail_send::mail_builder::mime::make_boundary;

/// The longest subject: what a telephone shows, and some more.
const SUBJECT: usize = 200;

/// The message as it goes over the wire.
pub fn compose(email: &Email, event: &Event, now: DateTime<Utc>) -> Result<Vec<u8>> {
    let domain = email.from.address.rsplit('@').next().unwrap_or("localhost");
    let subject = format!("[backupkit] {}", text::headline(event));
    MessageBuilder::new()
        .from(mailbox(&email.from))
        .to(Address::new_list(email.to.iter().map(mailbox).collect()))
        .subject(text::cut(&subject, SUBJECT))
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
