//! `cat`: the plain dump of one backup, to be piped elsewhere.

use super::open::{self, Rules};
use super::select::Selected;
use super::tap::{DumpTap, ScriptTap};
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::progress::Meter;
use crate::stream::seal::Keys;
use crate::stream::sniff::Content;
use crate::stream::{NoTap, Tap};
use std::io::Write;
use std::sync::Arc;

/// Writes the plain stream of `selected` to `target`, its end only after every layer has ended well.
pub fn run(
    selected: &Selected,
    keys: &dyn Fn() -> Result<Keys>,
    rules: &Rules,
    target: &mut impl Write,
    cancel: &Cancel,
) -> Result<u64> {
    let meter = Arc::new(Meter::default());
    let inbound = open::open(selected, keys, rules, Arc::clone(&meter), cancel)?;
    let mut dump = DumpTap::new();
    let mut script = ScriptTap::default();
    let tap: &mut dyn Tap = match inbound.facts().content {
        Content::Archive => &mut dump,
        Content::Sql => &mut script,
        Content::Unknown => &mut NoTap,
        Content::Empty => {
            return Err(Error::damaged(format!("{} is empty", selected.shown())));
        }
    };
    inbound
        .copy_to(target, tap, &meter)
        .map_err(|error| error.doing(format!("cannot decode {}", selected.shown())))
}
