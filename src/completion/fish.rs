//! The completions of fish, with the descriptions that `--help` has.

use super::definition::{HELP, ValueKind, flags, leading_flags, names, positional, quoted};
use argh::{CommandInfoWithArgs, FlagInfo};

const HEAD: &str = r#"# fish completion of backupkit, made by: backupkit completion fish

# true if $argv[1] is the command on the line, or if there is none and $argv is empty
function __backupkit_command
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case -c --config
                set -e words[1]
            case '-*'
            case '*'
                test "$words[1]" = "$argv[1]"
                return
        end
        set -e words[1]
    end
    not set -q argv[1]
end

# the configured databases
function __backupkit_databases
    set -l words (commandline -opc)
    set -l config
    for i in (seq (count $words))
        switch $words[$i]
            case -c --config
                set config -c (string replace -r '^~' -- "$HOME" $words[(math $i + 1)])
            case '--config=*'
                set config -c (string replace -r '^--config=' -- '' $words[$i])
        end
    end
    command backupkit completion databases $config 2>/dev/null
end

function __backupkit_backups
    set -l names (__backupkit_databases)
    string replace -r '$' -- /latest $names
    __fish_complete_path (commandline -ct)
end

complete -c backupkit -f
"#;

pub(super) fn script(program: &CommandInfoWithArgs) -> String {
    let mut script = HEAD.to_string();
    let anywhere = "-n __backupkit_command";
    for command in &program.commands {
        let described = quoted(command.command.description);
        script += &format!(
            "complete -c backupkit {anywhere} -a {} -d {described}\n",
            command.name
        );
    }
    script += &format!("complete -c backupkit {anywhere} -a help -d '{HELP}'\n");
    script += &format!(
        "complete -c backupkit -n '__backupkit_command help' -a '{}'\n",
        names(program)
    );
    for flag in leading_flags(program) {
        script += &option(flag, anywhere);
    }
    script += &format!("complete -c backupkit {anywhere} -l version -d 'print the version'\n");
    for command in &program.commands {
        let command = &command.command;
        let here = format!("-n '__backupkit_command {}'", command.name);
        for flag in flags(command) {
            script += &option(flag, &here);
        }
        if let Some(value) = positional(command) {
            script += &format!("complete -c backupkit {here}{}\n", arguments(value));
        }
    }
    script
}

fn option(flag: &FlagInfo<'_>, condition: &str) -> String {
    let long = flag.long.trim_start_matches('-');
    let short = flag
        .short
        .map_or(String::new(), |short| format!(" -s {short}"));
    let value = match ValueKind::of(flag) {
        None => String::new(),
        Some(ValueKind::File) => " -r -F".to_string(),
        Some(value) => format!(" -x{}", arguments(value)),
    };
    let described = quoted(flag.description);
    format!("complete -c backupkit {condition} -l {long}{short}{value} -d {described}\n")
}

/// What is offered as a value.
fn arguments(value: ValueKind) -> &'static str {
    match value {
        ValueKind::File => " -F",
        ValueKind::Directory => " -a '(__fish_complete_directories)'",
        ValueKind::Database => " -a '(__backupkit_databases)'",
        ValueKind::Backup => " -a '(__backupkit_backups)'",
        ValueKind::Shell => " -a 'bash zsh fish'",
        ValueKind::Level => " -a 'exists checksum full restore'",
        ValueKind::Free => "",
    }
}
