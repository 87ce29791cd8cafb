//! An error as JSON.

use crate::error::Error;
use serde_json::{Value, json};

/// The last line of a JSON run that failed.
pub fn error_line(error: &Error) -> Value {
    let mut event = error_json(error);
    event["type"] = "error".into();
    event
}

pub(super) fn error_json(error: &Error) -> Value {
    json!({
        "kind": error.kind().name(),
        "exit_status": error.kind().exit_status(),
        "message": error.chain(),
        "hint": error.first_hint(),
    })
}
