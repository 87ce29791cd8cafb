//! `cat`: the plain dump of one backup, or the tar of a cluster's data directory, to be piped elsewhere.

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::format::encoding::ArchiveEncoding;
use crate::format::foreign::ForeignFormat;
use crate::format::seal::Keys;
use crate::format::sniff::Content;
use crate::progress::Meter;
use crate::repository::foreign_file;
use crate::repository::located::Located;
use crate::repository::open;
use crate::repository::open::Rules;
use crate::source::logical::dump_inspector::inspector_for;
use std::io::Write;
use std::sync::Arc;

/// Writes the plain stream of `selected` to `target`, its end only after every layer has ended well.
pub fn run(
    selected: &Located,
    keys: &dyn Fn() -> Result<Keys>,
    rules: &Rules,
    target: &mut impl Write,
    cancel: &Cancel,
) -> Result<u64> {
    let meter = Arc::new(Meter::default());
    let mut inbound = open::open(selected, keys, rules, Arc::clone(&meter), cancel)?;
    let content = inbound.facts().content;
    let decoded = inbound.facts().encoding != ArchiveEncoding::default();
    // whatever was sealed or compressed is handed out as it was; bytes that never were must at least be a dump
    match content {
        Content::Empty if !decoded => {
            return Err(Error::damaged(format!("{} is empty", selected.shown())));
        }
        // as the files of a cluster are sent
        Content::Foreign(ForeignFormat::Tar) if selected.is_of_cluster() => {}
        Content::Foreign(format) if !decoded => {
            return Err(foreign_file::explain(selected, inbound.facts(), format));
        }
        Content::Unknown if !decoded => {
            let shown = selected.shown();
            return Err(Error::damaged(format!(
                "{shown} is neither encrypted nor compressed nor a dump"
            )));
        }
        _ => {}
    }
    inbound
        .copy_to(target, inspector_for(content, true).as_mut(), &meter)
        .map_err(|error| error.doing(format!("cannot read {}", selected.shown())))
}
