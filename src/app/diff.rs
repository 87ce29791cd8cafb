//! `diff`.

use super::context::App;
use super::reference::NamedBackup;
use crate::cancel::Cancel;
use crate::cli;
use crate::error::Result;
use crate::operation::diff::{self, Compared};
use crate::output;
use crate::repository::located::Located;
use crate::repository::standing::Purpose;

impl App {
    pub(super) fn diff(&self, options: &cli::DiffArgs, cancel: &Cancel) -> Result<()> {
        let one = |name: &str| -> Result<(NamedBackup, Located)> {
            let named = self.named(name, None, options.db.as_deref())?;
            let selected = self.find(&named, Purpose::Restore, cancel)?;
            Ok((named, selected))
        };
        let (before, after) = (one(&options.before)?, one(&options.after)?);
        let keys = |named: &NamedBackup| self.keys_for(&named.database, &named.reference);
        let compared = diff::compare(
            (&before.1, &|| keys(&before.0)),
            (&after.1, &|| keys(&after.0)),
            cancel,
        )?;
        let look = output::Look::of_stdout();
        match (&compared, options.json) {
            (Compared::Dumps(before, after), true) => {
                output::json(&output::diff_json(before, after))
            }
            (Compared::Dumps(before, after), false) => {
                output::shown(&output::diff_text(before, after, look))
            }
            (Compared::Clusters(before, after), true) => {
                output::json(&output::cluster_diff_json(before, after))
            }
            (Compared::Clusters(before, after), false) => {
                output::shown(&output::cluster_diff_text(before, after, look))
            }
        }
    }
}
