//! `cat`.

use super::context::App;
use crate::cancel::Cancel;
use crate::cli;
use crate::error::{Doing, Error, Result};
use crate::operation::cat;
use crate::output::Stdout;
use crate::repository::located::Located;
use crate::repository::open::Rules;
use crate::repository::reading_mark::ReadingMark;
use crate::repository::standing::Purpose;
use crate::source::logical::stored_globals;
use std::io::{self, IsTerminal, Write};

impl App {
    pub(super) fn cat(&self, options: &cli::CatArgs, cancel: &Cancel) -> Result<()> {
        if io::stdout().is_terminal() {
            return Err(Error::usage("a dump is nothing for a terminal")
                .hint("pipe it, such as into pg_restore --list, or redirect it into a file"));
        }
        let named = self.named(&options.backup, options.at, options.db.as_deref())?;
        let source = &named.database;
        let selected = self.find(&named, Purpose::Restore, cancel)?;
        let _reading = ReadingMark::leave(&selected, cancel)?;
        let rules = Rules {
            configured: self.configured_encoding(source),
            unchosen_target: None,
            strict: options.strict_sniff,
            force: options.force,
        };
        let keys = || self.keys_for(source, &named.reference);
        let mut target = Stdout::new(cancel)?;
        if options.globals {
            let Located::Stored { storage, entry } = &selected else {
                return Err(Error::usage("--globals is for a backup on a storage"));
            };
            if selected.is_of_cluster() {
                return Err(Error::usage("the roles of a cluster are in its files")
                    .hint("--globals is for the backup of a database"));
            }
            let sealed_only = self.encrypts(source) && !options.force;
            let text =
                stored_globals::read(storage.as_ref(), &entry.id, &keys, sealed_only, cancel)?;
            return match target.write_all(&text) {
                Err(_) if target.is_closed() => Ok(()),
                written => written.doing(|| "cannot write to stdout"),
            };
        }
        match cat::run(&selected, &keys, &rules, &mut target, cancel) {
            Err(_) if target.is_closed() => Ok(()),
            other => other.map(|_| ()),
        }
    }
}
