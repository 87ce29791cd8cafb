//! `diff`.

use super::App;
use crate::cancel::Cancel;
use crate::cli;
use crate::error::Result;
use crate::operation::diff::{self, Side};
use crate::output;

impl App {
    pub(super) fn diff(&self, options: &cli::Diff, cancel: &Cancel) -> Result<()> {
        let before = self.side(&options.before, options, cancel)?;
        let after = self.side(&options.after, options, cancel)?;
        if options.json {
            return output::line(&output::diff_json(&before, &after).to_string());
        }
        output::text_out(&output::diff_text(&before, &after))
    }

    fn side(&self, name: &str, options: &cli::Diff, cancel: &Cancel) -> Result<Side> {
        let meant = self.meant(name)?;
        let database = match meant.reference.database() {
            Some(named) => named.to_string(),
            None => {
                let only = options.db.as_deref();
                self.unnamed(&meant.reference, only)?.name.clone()
            }
        };
        let selected = self.find(&meant, &database, cancel)?;
        let keys = || self.keys_for(&database, &meant.reference);
        diff::side(&selected, &keys, cancel)
    }
}
