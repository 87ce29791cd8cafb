//! The words of other tools (restic, borg, pgBackRest, pg_dump), and which of ours each stands for.

/// What is meant by a command of others, as the end of `did you mean`.
pub(super) fn command_meant(word: &str) -> Option<&'static str> {
    Some(match word {
        "snapshots" | "ls" | "info" | "history" | "backups" | "archives" => "list",
        "check" => {
            "verify, which checks backups, or test, which checks the configuration and what it names"
        }
        "validate" | "audit" | "scrub" => "verify",
        "drill" => "verify --level restore",
        "doctor" | "ping" => "test",
        "forget" | "expire" | "delete" | "remove" | "rm" | "retention" | "compact" | "gc"
        | "cleanup" => "prune",
        "dump" => "backup, which makes one, or cat, which prints one",
        "create" | "run" | "save" | "pg_dump" | "archive" => "backup",
        "stanza-create" | "setup" | "configure" | "config" | "rinit" => "init",
        "extract" | "recover" | "pg_restore" | "import" => "restore",
        "show" | "health" | "state" | "stats" => "status",
        "start" | "serve" | "server" | "watch" | "schedule" | "cron" => "daemon",
        "keep" | "protect" | "hold" | "tag" => "pin",
        "unprotect" | "unhold" | "unlock" => "unpin; locks of runs that are gone go by themselves",
        "compare" => "diff",
        "export" | "print" | "download" | "get" => "cat",
        "version" => "--version",
        _ => return None,
    })
}

/// Our options, and how others call them.
const OPTIONS: [(&str, &[&str]); 10] = [
    (
        "--db",
        &["--database", "--name", "--dbname", "--stanza", "-d"],
    ),
    (
        "--from",
        &[
            "--backup",
            "--snapshot",
            "--archive",
            "--source",
            "--set",
            "--file",
            "-f",
        ],
    ),
    ("--to", &["--into", "--target"]),
    (
        "--clean",
        &["--drop", "--overwrite", "--if-exists", "--delta"],
    ),
    ("--dry-run", &["-n", "--simulate"]),
    ("--jobs", &["-j", "--process-max", "--parallel"]),
    ("--table", &["-t"]),
    ("--yes", &["-y", "--assume-yes", "--no-confirm"]),
    ("--quiet", &["-q", "--silent"]),
    ("--verbose", &["-v", "--debug"]),
];

/// The one of `options` that is meant by an option of others.
pub(super) fn option_meant(word: &str, options: &[&'static str]) -> Option<&'static str> {
    let meant = |(ours, others): &&(&'static str, &[&str])| {
        options.contains(ours) && others.contains(&word)
    };
    OPTIONS.iter().find(meant).map(|(ours, _)| *ours)
}

/// Where in the configuration stands what others give as an option.
pub(super) fn key_meant(word: &str) -> Option<&'static str> {
    Some(match word {
        word if word == "--keep" || word.starts_with("--keep-") => {
            "what is kept stands under retention in the configuration"
        }
        word if word.starts_with("--exclude") => {
            "what pg_dump leaves out stands under backup.options in the configuration"
        }
        "--repo" | "-r" | "--repository" | "--repo1-path" => {
            "where backups go stands under storage in the configuration"
        }
        "--host" | "-h" | "--port" | "-p" | "--username" | "--user" | "-U" | "--password"
        | "-W" => "how to log in stands under connection in the configuration",
        "--compress" | "-Z" => "it stands under backup.compression in the configuration",
        _ => return None,
    })
}
