//! The subject of a mail.

use crate::notify::event::Event;
use crate::notify::text;
use crate::text::cut::cut_bytes;

/// The longest subject in bytes: what a telephone shows, and some more.
const SUBJECT: usize = 200;

/// What went well or wrong with which database, after the name of the program.
pub(super) fn subject(event: &Event) -> String {
    let subject = format!("[backupkit] {}", text::headline(event));
    cut_bytes(&subject, SUBJECT)
}
