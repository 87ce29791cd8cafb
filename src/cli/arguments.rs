//! The command line as a whole: the commands, and what is said of them all.

use super::backup::BackupArgs;
use super::cat::CatArgs;
use super::completion::CompletionArgs;
use super::daemon::DaemonArgs;
use super::diff::DiffArgs;
use super::init::InitArgs;
use super::list::ListArgs;
use super::pin::{PinArgs, UnpinArgs};
use super::prune::PruneArgs;
use super::restore::RestoreArgs;
use super::status::StatusArgs;
use super::test::TestArgs;
use super::verify::VerifyArgs;
use super::wal_fetch::WalFetchArgs;
use super::wal_push::WalPushArgs;
use crate::error::{Error, Result};
use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;

/// BackupKit backs up PostgreSQL and proves that the backups restore.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    help_triggers("-h", "--help", "help"),
    note = "Every command takes -c/--config FILE (else $BACKUPKIT_CONFIG, else /etc/backupkit/config.yaml),\n--verbose and --help; --option=value works wherever --option value does.\nbackupkit --version prints the version.",
    example = "Write a configuration, and check that it works:\n  $ {command_name} init\n  $ {command_name} test",
    example = "Back up all configured databases:\n  $ {command_name} backup",
    example = "Show the backups there are:\n  $ {command_name} list",
    example = "Restore the newest backup of app_db into the empty database it came from:\n  $ {command_name} restore --from app_db/latest",
    error_code(1, "failed"),
    error_code(2, "usage or configuration"),
    error_code(3, "some of several databases or copies failed"),
    error_code(10, "no such backup or database"),
    error_code(11, "another run holds the lock"),
    error_code(12, "wrong password"),
    error_code(13, "archive damaged or incomplete"),
    error_code(14, "a backup is older than allowed"),
    error_code(15, "refused for safety"),
    error_code(128, "and above: ended by a signal, 128 + its number")
)]
pub struct Arguments {
    #[argh(subcommand)]
    /// what to do
    pub command: Command,
}

/// The commands.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one of it in a process")]
pub enum Command {
    /// init
    Init(InitArgs),
    /// test
    Test(TestArgs),
    /// backup
    Backup(BackupArgs),
    /// daemon
    Daemon(DaemonArgs),
    /// restore
    Restore(RestoreArgs),
    /// status
    Status(StatusArgs),
    /// list
    List(ListArgs),
    /// verify
    Verify(VerifyArgs),
    /// diff
    Diff(DiffArgs),
    /// cat
    Cat(CatArgs),
    /// prune
    Prune(PruneArgs),
    /// pin
    Pin(PinArgs),
    /// unpin
    Unpin(UnpinArgs),
    /// wal-push
    WalPush(WalPushArgs),
    /// wal-fetch
    WalFetch(WalFetchArgs),
    /// completion
    Completion(CompletionArgs),
}

impl Command {
    /// The configuration file, where one was named.
    pub fn config(&self) -> Option<&PathBuf> {
        match self {
            Command::Init(options) => options.config.as_ref(),
            Command::Test(options) => options.config.as_ref(),
            Command::Backup(options) => options.config.as_ref(),
            Command::Daemon(options) => options.config.as_ref(),
            Command::Status(options) => options.config.as_ref(),
            Command::Restore(options) => options.config.as_ref(),
            Command::List(options) => options.config.as_ref(),
            Command::Verify(options) => options.config.as_ref(),
            Command::Diff(options) => options.config.as_ref(),
            Command::Cat(options) => options.config.as_ref(),
            Command::Prune(options) => options.config.as_ref(),
            Command::Pin(options) => options.config.as_ref(),
            Command::Unpin(options) => options.config.as_ref(),
            Command::WalPush(options) => options.config.as_ref(),
            Command::WalFetch(options) => options.config.as_ref(),
            Command::Completion(options) => options.config.as_ref(),
        }
    }

    /// True for more on stderr.
    pub fn verbose(&self) -> bool {
        match self {
            Command::Init(options) => options.verbose,
            Command::Test(options) => options.verbose,
            Command::Backup(options) => options.verbose,
            Command::Daemon(options) => options.verbose,
            Command::Status(options) => options.verbose,
            Command::Restore(options) => options.verbose,
            Command::List(options) => options.verbose,
            Command::Verify(options) => options.verbose,
            Command::Diff(options) => options.verbose,
            Command::Cat(options) => options.verbose,
            Command::Prune(options) => options.verbose,
            Command::Pin(options) => options.verbose,
            Command::Unpin(options) => options.verbose,
            Command::WalPush(options) => options.verbose,
            Command::WalFetch(options) => options.verbose,
            Command::Completion(options) => options.verbose,
        }
    }

    /// True where success is to be told by nothing at all.
    pub fn quiet(&self) -> bool {
        match self {
            Command::Test(options) => options.quiet,
            Command::Backup(options) => options.quiet,
            Command::Restore(options) => options.quiet,
            Command::Verify(options) => options.quiet,
            Command::Prune(options) => options.quiet,
            // the others are for what they print
            _ => false,
        }
    }

    /// Refuses what does not go together in any command.
    pub(super) fn check(&self) -> Result<()> {
        let both = match (self.quiet(), self.json(), self.verbose()) {
            (true, true, _) => "--quiet and --json",
            (true, _, true) => "--quiet and --verbose",
            _ => return Ok(()),
        };
        Err(Error::usage(format!("{both} do not go together")).hint("leave one of them out"))
    }

    /// True for JSON on stdout.
    pub fn json(&self) -> bool {
        match self {
            Command::Init(_) => false,
            Command::Test(options) => options.json,
            Command::Backup(options) => options.json,
            Command::Daemon(options) => options.json,
            Command::Status(options) => options.json,
            Command::Restore(options) => options.json,
            Command::List(options) => options.json,
            Command::Verify(options) => options.json,
            Command::Diff(options) => options.json,
            Command::WalPush(_) | Command::WalFetch(_) => false,
            Command::Cat(_) | Command::Completion(_) => false,
            Command::Prune(options) => options.json,
            Command::Pin(options) => options.json,
            Command::Unpin(options) => options.json,
        }
    }

    /// True where the exit status is to be that of a monitoring plugin.
    pub fn nagios(&self) -> bool {
        matches!(self, Command::Status(options) if options.nagios)
    }
}
