//! The pages of a listing, each asked for with the marker that the one before gave, until one says that it is the last.
//!
//! A listing that goes round in circles, repeats itself or leaves something out is an error and never an end: retention
//! deletes by what it finds there.

use super::client::S3Client;
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// No listing has more pages: twenty million objects in one directory.
const MOST_PAGES: usize = 20_000;
/// Pages without an entry that may follow one another.
const MOST_EMPTY: usize = 1_000;

/// How far a listing has come.
pub(super) struct Pages<'a> {
    /// As an error says it.
    doing: &'a str,
    host: String,
    /// Hashes of the markers so far.
    markers: HashSet<u64>,
    empty: usize,
}

impl<'a> Pages<'a> {
    /// Before the first page.
    pub fn new(client: &S3Client, doing: &'a str) -> Pages<'a> {
        Pages {
            doing,
            host: client.host().to_string(),
            markers: HashSet::new(),
            empty: 0,
        }
    }

    /// Takes the marker of the next page, after one with this many entries.
    pub fn go_on(&mut self, marker: impl Hash, entries: usize) -> Result<()> {
        let mut hasher = DefaultHasher::new();
        marker.hash(&mut hasher);
        if !self.markers.insert(hasher.finish()) {
            return Err(self.wrong("it leads back to a page that was there before"));
        }
        self.empty = if entries == 0 { self.empty + 1 } else { 0 };
        if self.empty > MOST_EMPTY || self.markers.len() > MOST_PAGES {
            return Err(self.wrong("it does not end"));
        }
        Ok(())
    }

    /// The server's listing cannot be believed.
    pub fn wrong(&self, how: &str) -> Error {
        Error::failed(format!(
            "{}: the listing of {} is not complete: {how}",
            self.doing, self.host
        ))
        .hint("nothing is deleted because of it; a proxy or a cache before the server may be at fault")
    }
}

/// Names of one kind in a listing, which come in the order of their bytes, each once.
#[derive(Default)]
pub(super) struct Ascending {
    last: Option<String>,
}

impl Ascending {
    /// True where `name` comes after all that came before.
    pub fn take_in(&mut self, name: &str) -> bool {
        if self.last.as_deref().is_some_and(|last| last >= name) {
            return false;
        }
        let last = self.last.get_or_insert_default();
        last.clear();
        last.push_str(name);
        true
    }
}

/// The same for directories. Some servers sort them as `app/`, others as `app`, which differs beside `app-old`; one of
/// the two has to hold throughout.
#[derive(Default)]
pub(super) struct AscendingDirectories {
    with_slash: Ascending,
    without: Ascending,
    broken: [bool; 2],
}

impl AscendingDirectories {
    /// True where `directory`, with its final slash, comes after all that came before.
    pub fn take_in(&mut self, directory: &str) -> bool {
        let name = directory.strip_suffix('/').unwrap_or(directory);
        self.broken[0] |= !self.with_slash.take_in(directory);
        self.broken[1] |= !self.without.take_in(name);
        self.broken != [true, true]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_may_be_sorted_with_their_slash_or_without() {
        let ascends = |names: &[&str]| {
            let mut order = AscendingDirectories::default();
            names.iter().all(|name| order.take_in(name))
        };
        assert!(ascends(&["app-old/", "app/", "b/"]));
        assert!(ascends(&["app/", "app-old/", "b/"]));
        assert!(!ascends(&["app/", "app-old/", "app/"]));
        assert!(!ascends(&["app/", "app/"]));
        assert!(!ascends(&["b/", "a/"]));
    }
}
