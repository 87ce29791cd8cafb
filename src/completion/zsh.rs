//! The completions of zsh, with the descriptions that `--help` has.

use super::definition::{HELP, ValueKind, flags, leading_flags, names, quoted, spellings};
use argh::{CommandInfoWithArgs, FlagInfo, Optionality};

const HEAD: &str = r#"#compdef backupkit
# zsh completion of backupkit, made by: backupkit completion zsh

# the configured databases, each followed by $suffix
_backupkit_names() {
    local -a typed=(${(z)BUFFER}) config names
    local i
    for ((i = 2; i <= $#typed; i++)); do
        case $typed[i] in
            -c | --config) config=(-c ${${(Q)typed[i + 1]}/#\~/$HOME}) ;;
            --config=*) config=(-c ${${(Q)typed[i]#*=}/#\~/$HOME}) ;;
        esac
    done
    names=(${(f)"$(command backupkit completion databases $config 2>/dev/null)"})
    compadd "$@" -- ${^names}$suffix
}

_backupkit_databases() {
    local suffix=
    _backupkit_names "$@"
}

_backupkit_backups() {
    local suffix=/latest
    _backupkit_names "$@" || _files
}

_backupkit() {
    local curcontext=$curcontext state line
    local -A opt_args
    local -a commands
"#;

const TAIL: &str = r#"            esac
            ;;
    esac
}

# sourced, or loaded from the function path
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _backupkit "$@"
else
    compdef _backupkit backupkit
fi
"#;

pub(super) fn script(program: &CommandInfoWithArgs) -> String {
    let mut specs: Vec<String> = leading_flags(program)
        .into_iter()
        .flat_map(option)
        .collect();
    specs.push(quoted("(- *)--version[print the version]"));
    specs.extend(["'1: :->command'".into(), "'*:: :->arguments'".into()]);
    let mut script = HEAD.to_string() + &arguments("    ", "-C", &specs);
    script += "    case $state in\n        command)\n            commands=(\n";
    for command in &program.commands {
        let described = format!("{}:{}", command.name, command.command.description);
        script += &format!("                {}\n", quoted(&described));
    }
    script += &format!("                {}\n", quoted(&format!("help:{HELP}")));
    script += "            )\n            _describe command commands\n            ;;\n";
    script += "        arguments)\n            case $line[1] in\n";
    for command in &program.commands {
        let command = &command.command;
        let mut specs: Vec<String> = flags(command).flat_map(option).collect();
        let positionals = command.positionals.iter().enumerate();
        specs.extend(positionals.map(|(index, positional)| {
            let place = match positional.optionality {
                Optionality::Repeating | Optionality::Greedy => "*".to_string(),
                Optionality::Required | Optionality::Optional => (index + 1).to_string(),
            };
            let value = ValueKind::named(positional.name);
            quoted(&format!("{place}:{}", action(value)))
        }));
        script += &format!("                {})\n", command.name);
        script += &arguments("                    ", "", &specs);
        script += "                    ;;\n";
    }
    script += "                help)\n";
    let spec = quoted(&format!("1:command:({})", names(program)));
    script += &arguments("                    ", "", &[spec]);
    script += "                    ;;\n";
    script + TAIL
}

/// A call of `_arguments`, a line for each spec.
fn arguments(indent: &str, options: &str, specs: &[String]) -> String {
    let next = format!(" \\\n{indent}    ");
    format!("{indent}_arguments {options}{next}{}\n", specs.join(&next))
}

/// The specs of one option, one for each of its spellings, which exclude each other unless they may be repeated.
fn option(flag: &FlagInfo<'_>) -> Vec<String> {
    let spellings = spellings(flag);
    let before = match flag.optionality {
        Optionality::Repeating => "*".to_string(),
        _ => format!("({})", spellings.join(" ")),
    };
    let spec = |spelling: &String| {
        let (equals, action) = match ValueKind::of(flag) {
            Some(value) if spelling.starts_with("--") => ("=", format!(":{}", action(value))),
            Some(value) => ("", format!(":{}", action(value))),
            None => ("", String::new()),
        };
        let described = escaped(flag.description);
        quoted(&format!("{before}{spelling}{equals}[{described}]{action}"))
    };
    spellings.iter().map(spec).collect()
}

fn action(value: ValueKind) -> &'static str {
    match value {
        ValueKind::File => "file:_files",
        ValueKind::Directory => "directory:_files -/",
        ValueKind::Database => "database:_backupkit_databases",
        ValueKind::Backup => "backup:_backupkit_backups",
        ValueKind::Shell => "shell:(bash zsh fish)",
        ValueKind::Level => "level:(exists checksum full restore)",
        ValueKind::Free => "value: ",
    }
}

/// A description inside of brackets.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\")
        .replace('[', r"\[")
        .replace(']', r"\]")
}
