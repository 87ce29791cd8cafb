//! What stdout gets: results, as text or as JSON, and nothing else.
//!
//! Each file words the result of one command, which `operation/` defines; none of them decides anything.

mod backup;
mod base_restore;
mod check;
mod cluster_diff;
mod daemon;
mod diff;
mod error;
mod list;
mod look;
mod prune;
mod restore;
mod status;
mod stdout;
mod verify;

pub use backup::{backup_json, backup_summary, backup_text};
pub use base_restore::{base_restore_json, base_restore_text};
pub use check::{check_json, print_check};
pub use cluster_diff::{cluster_diff_json, cluster_diff_text};
pub use daemon::{next_runs_json, next_runs_text};
pub use diff::{diff_json, diff_text};
pub use error::error_line;
pub use list::{list_json, list_text};
pub use look::Look;
pub use prune::{explain_text, pin_json, pin_text, prune_json, prune_text};
pub use restore::{preview_json, preview_text, restore_json, restore_text};
pub use status::{
    daemon_json, daemon_line, nagios_line, nagios_status, status_json, status_nagios, status_text,
};
pub use stdout::{Stdout, coloured, json, line, shown, text_out};
pub use verify::{report_json, report_text, verified_text, verify_json};
