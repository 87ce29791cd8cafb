//! A file that holds a secret, and what a message may call it.

use crate::error::{Error, Result};
use crate::secret::Secret;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// No secret is larger; the limit keeps a wrong path from filling the memory.
const LARGEST_FILE: u64 = 64 * 1024;

/// The path of a secret file for a message. What has no slash is more likely the secret itself in the place of a path.
pub(super) fn shown_path(path: &Path) -> String {
    let path = path.display().to_string();
    match path.contains('/') && !path.contains(char::is_whitespace) {
        true => path,
        false => "the file of the name that is given".to_owned(),
    }
}

/// The content of a secret file without its one final newline.
pub(crate) fn read_file(path: &Path) -> Result<Secret> {
    read_as(path, &shown_path(path))
}

/// The same, with what a message calls it.
pub(super) fn read_as(path: &Path, shown: &str) -> Result<Secret> {
    let fail = |what: String| Error::usage(format!("{shown}: {what}"));
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => fail(error.to_string()).hint(
                "write the value into that file, readable by this user alone, or name another",
            ),
            ErrorKind::PermissionDenied => fail(error.to_string())
                .hint("let this user read the file, or be the user whose file it is"),
            _ => fail(error.to_string()),
        })?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(fail(format!("is larger than {LARGEST_FILE} bytes")));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| fail("is not UTF-8 text".into()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(Secret::new(text))
}
