//! What `init` accepts.

use argh::{ArgsInfo, FromArgs};
use std::path::PathBuf;

/// Write a configuration that works: asks on a terminal, or takes everything from options.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "init",
    help_triggers("-h", "--help"),
    note = "What an option says is not asked for. Writes the configuration and, beside it, the password that backups are\nencrypted with; neither is replaced without --force, and then what it replaces is kept beside it.",
    example = "Answer its questions:\n  $ {command_name}",
    example = "Without a terminal:\n  $ {command_name} --non-interactive --database app --user backup --to s3://my-backups/host1 --region eu-central-1"
)]
pub struct InitArgs {
    /// ask nothing
    #[argh(switch)]
    pub non_interactive: bool,

    /// the server's host name, address or socket directory
    #[argh(option, arg_name = "HOST")]
    pub host: Option<String>,

    /// its port (default: 5432)
    #[argh(option, arg_name = "PORT")]
    pub port: Option<u16>,

    /// who logs in (default: who you are)
    #[argh(option, arg_name = "ROLE")]
    pub user: Option<String>,

    /// the file that holds the password to log in with; without it libpq's ways, such as .pgpass
    #[argh(option, arg_name = "FILE")]
    pub db_password_file: Option<PathBuf>,

    /// a database to back up, by its name on the server; may be repeated
    #[argh(option, arg_name = "DATABASE")]
    pub database: Vec<String>,

    /// back up the whole of the server as it lies on disk, under this name; the role needs REPLICATION
    #[argh(option, arg_name = "NAME")]
    pub cluster: Option<String>,

    /// where backups go: a directory, or s3://BUCKET/PREFIX (default: /var/backups/backupkit,
    /// or ~/.local/share/backupkit for users who may not write there)
    #[argh(option, arg_name = "PLACE")]
    pub to: Option<String>,

    /// the region of the bucket (default: us-east-1)
    #[argh(option, arg_name = "REGION")]
    pub region: Option<String>,

    /// the server of the bucket, where it is not Amazon's
    #[argh(option, arg_name = "URL")]
    pub endpoint: Option<String>,

    /// do not encrypt
    #[argh(switch)]
    pub no_encryption: bool,

    /// replace a configuration that is there
    #[argh(switch)]
    pub force: bool,

    /// the configuration file to write
    #[argh(option, short = 'c', arg_name = "FILE")]
    pub config: Option<PathBuf>,

    /// say more on stderr
    #[argh(switch)]
    pub verbose: bool,
}
