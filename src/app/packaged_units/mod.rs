//! The units of the packages beside the configuration that they run by: what it names that they would not come to, and what
//! lets them.

mod admission;
mod barred;
mod units;
mod used_paths;
mod variables;

pub(super) use admission::{Admitted, FirstBackup, admit, warning};

use crate::config::Config;
use crate::operation::test::Finding;
use crate::systemd::drop_in::{self, UsedPath};
use barred::{no_line, not_permitted, said};
use std::path::Path;
use units::{ROOT, has_systemd, is_any_enabled, users};
use used_paths::is_for_news;

const SUBJECT: &str = "service";

/// What `test` has to say of the units that run by the `config` at `path`: nothing where there are none, or none of them
/// could run.
pub(super) fn check(config: &Config, path: &Path) -> Vec<Finding> {
    let (users, is_enabled) = (users(path), is_any_enabled());
    if users.is_empty() || !(is_enabled || has_systemd()) {
        return Vec::new();
    }
    let environments = variables::environments();
    let used = match variables::used_paths(path, &environments) {
        Ok(used) => used.paths,
        // by their variables it is no configuration
        Err(error) => return vec![Finding::broken(SUBJECT, &error)],
    };
    let barred = drop_in::barred(Path::new(ROOT), &used, "");
    let by_settings = barred.iter().map(|barred| {
        failure(&barred.used, said(barred)).fix(match barred.lines() {
            Some(lines) => format!(
                "systemctl edit {}, and restart what runs; the lines: [Service] {}",
                barred.services.join(" "),
                lines.join(" ")
            ),
            None => no_line(barred),
        })
    });
    let barred_paths: Vec<&Path> = barred.iter().map(|barred| &*barred.used.path).collect();
    let by_owner = used
        .iter()
        .filter(|used| !barred_paths.contains(&&*used.path))
        .flat_map(|used| {
            not_permitted(used, &users)
                .into_iter()
                .map(move |found| (used, found))
        })
        .map(|(used, (what, fix))| failure(used, what).fix(fix));
    let unset = variables::unset(SUBJECT, config, path, &environments);
    let found: Vec<Finding> = by_settings.chain(by_owner).chain(unset).collect();
    if found.is_empty() {
        let what = "the units of the package come to all that the configuration names";
        return vec![Finding::ok(SUBJECT, what)];
    }
    // where cron makes the backups, what they could not do costs none
    match is_enabled {
        true => found,
        false => found.into_iter().map(Finding::as_warning).collect(),
    }
}

/// What keeps the services from `used`, which costs each run, or that anybody hears of it.
fn failure(used: &UsedPath, what: String) -> Finding {
    let finding = Finding::fail(SUBJECT, what);
    match is_for_news(&used.subject) {
        true => finding.as_warning(),
        false => finding,
    }
}
