//! The completions of bash, with nothing needed beside it.

use super::definition::{ValueKind, flags, leading_flags, names, positional, spellings};
use argh::CommandInfoWithArgs;

const HEAD: &str = r#"# bash completion of backupkit, made by: backupkit completion bash

_backupkit() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command value words i
    local -a config=()
    # bash splits --option=value into three words
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -c | --config)
                [[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
                ((i++))
                config=(-c "${COMP_WORDS[i]/#\~/$HOME}")
                ;;
            -* | =) ;;
            *) command=${command:-${COMP_WORDS[i]}} ;;
        esac
    done
"#;

const TAIL: &str = r#"    COMPREPLY=()
    case $value in
        file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
        database)
            words=$(command "$1" completion databases "${config[@]}" 2>/dev/null)
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
            ;;
        backup)
            words=$(command "$1" completion databases "${config[@]}" 2>/dev/null)
            mapfile -t COMPREPLY < <(compgen -W "${words//$'\n'//latest$'\n'}${words:+/latest}" -- "$cur")
            ((${#COMPREPLY[@]})) || { compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); }
            ;;
        shell) mapfile -t COMPREPLY < <(compgen -W 'bash zsh fish' -- "$cur") ;;
        level) mapfile -t COMPREPLY < <(compgen -W 'exists checksum full restore' -- "$cur") ;;
        free) ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur") ;;
    esac
} 2>/dev/null

complete -F _backupkit backupkit
"#;

/// The whole script. `words` are the words that may follow, `value` is what the next word is instead.
pub(super) fn script(program: &CommandInfoWithArgs) -> String {
    let mut script = HEAD.to_string();
    let mut leading = vec![names(program)];
    leading.extend(leading_flags(program).into_iter().flat_map(spellings));
    leading.extend(["help".into(), "--version".into()]);
    script += &format!(
        "    case $command in\n        '')\n            words='{}'\n",
        leading.join(" ")
    );
    script += "            case $prev in -c | --config) value=\"file\" ;; esac\n            ;;\n";
    for command in &program.commands {
        let command = &command.command;
        let words: Vec<String> = flags(command).flat_map(spellings).collect();
        script += &format!(
            "        {})\n            words='{}'\n",
            command.name,
            words.join(" ")
        );
        script += "            case $prev in\n";
        for flag in flags(command) {
            if let Some(value) = ValueKind::of(flag) {
                let spellings = spellings(flag).join(" | ");
                script += &format!(
                    "                {spellings}) value=\"{}\" ;;\n",
                    word(value)
                );
            }
        }
        if let Some(value) = positional(command) {
            script += &format!(
                "                *) [[ $cur == -* ]] || value=\"{}\" ;;\n",
                word(value)
            );
        }
        script += "            esac\n            ;;\n";
    }
    script += &format!("        help) words='{}' ;;\n", names(program));
    script + "    esac\n" + TAIL
}

fn word(value: ValueKind) -> &'static str {
    match value {
        ValueKind::File => "file",
        ValueKind::Directory => "directory",
        ValueKind::Database => "database",
        ValueKind::Backup => "backup",
        ValueKind::Shell => "shell",
        ValueKind::Level => "level",
        ValueKind::Free => "free",
    }
}
