//! `diff`.

use super::context::App;
use crate::cancel::Cancel;
use crate::cli;
use crate::error::Result;
use crate::operation::diff::{self, Side};
use crate::output;
use crate::repository::standing::Purpose;

impl App {
    pub(super) fn diff(&self, options: &cli::DiffArgs, cancel: &Cancel) -> Result<()> {
        let before = self.side(&options.before, options, cancel)?;
        let after = self.side(&options.after, options, cancel)?;
        if options.json {
            return output::json(&output::diff_json(&before, &after));
        }
        output::shown(&output::diff_text(
            &before,
            &after,
            output::Look::of_stdout(),
        ))
    }

    fn side(&self, name: &str, options: &cli::DiffArgs, cancel: &Cancel) -> Result<Side> {
        let named = self.named(name, None, options.db.as_deref())?;
        let selected = self.find(&named, Purpose::Restore, cancel)?;
        let keys = || self.keys_for(&named.database, &named.reference);
        diff::side(&selected, &keys, cancel)
    }
}
