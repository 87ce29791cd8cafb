//! The completions are what each shell takes, and lead to what there is.

use crate::support::entry::Entry;
use crate::support::program::{self, Output};
use crate::support::sandbox::Sandbox;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A sandbox with the completions of each shell in it, and two databases in its configuration.
fn place() -> Sandbox {
    let sandbox = Sandbox::new(18);
    let unreachable = "host: 127.0.0.1, port: 1, database: app, user: app, password: none";
    let entry = |name: &str| Entry::new(name, unreachable.to_string());
    sandbox.configure_with("", &[entry("app_db"), entry("billing")]);
    fs::copy(sandbox.path("config.yaml"), sandbox.path("other.yaml")).expect("a copy");
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.run(&["completion", shell]).exits(0);
        fs::write(sandbox.path(shell), script.stdout).expect("write a script");
    }
    sandbox
}

/// Runs a script in a shell that finds the program.
fn run(sandbox: &Sandbox, shell: &str, script: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_backupkit"));
    let path = format!(
        "{}:/usr/bin:/bin",
        program.parent().expect("a directory").display()
    );
    let mut command = sandbox.inside(Command::new(shell));
    command.env("PATH", path).env("TERM", "dumb");
    match shell {
        "zsh" => command.args(["-f", "-c", script]),
        "bash" => command.args(["--norc", "-c", script]),
        _ => command.args(["--no-config", "-c", script]),
    };
    program::run(command, "")
}

/// What bash offers for the last word of `line`, split the way readline does it.
fn bash(sandbox: &Sandbox, line: &str) -> Vec<String> {
    let words: Vec<String> = line
        .replace('=', " = ")
        .split(' ')
        .map(|word| format!("'{word}'"))
        .collect();
    let script = format!(
        "source ./bash; COMP_WORDS=({}); COMP_CWORD={}; _backupkit backupkit; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() - 1
    );
    lines(run(sandbox, "bash", &script))
}

fn fish(sandbox: &Sandbox, line: &str) -> Vec<String> {
    let offered = lines(run(
        sandbox,
        "fish",
        &format!("source ./fish; complete -C '{line}'"),
    ));
    // a tab, and then the description
    let words = offered.iter().filter_map(|line| line.split('\t').next());
    words.map(str::to_string).collect()
}

/// The line that a tab makes of `line` in a zsh that somebody sits before.
fn zsh(sandbox: &Sandbox, line: &str) -> String {
    let script = format!(
        r#"
        zmodload zsh/zpty
        zpty terminal zsh -f -i
        zpty -w terminal 'autoload -Uz compinit; compinit -u -D; source ./zsh'
        zpty -w terminal 'show() {{ print -r -- "$BUFFER" >shown; zle send-break }}; zle -N show; bindkey "^X" show'
        zpty -w -n terminal '{line}'$'\t\x18'
        until [[ -s shown ]]; do zpty -r -t terminal answer || sleep 0.05; done
        zpty -d terminal
        cat shown; rm shown
        "#
    );
    run(sandbox, "zsh", &script)
        .exits(0)
        .text()
        .trim_end()
        .to_string()
}

fn lines(output: Output) -> Vec<String> {
    assert_eq!(output.stderr, "");
    let text = output.exits(0).text();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(str::to_string).collect()
}

#[test]
fn each_shell_takes_its_completions_without_a_word() {
    let sandbox = place();
    for (shell, check) in [
        ("bash", "bash -n ./bash && shellcheck -s bash ./bash"),
        ("zsh", "zsh -n ./zsh"),
        ("fish", "fish -n ./fish"),
    ] {
        let output = run(&sandbox, "bash", check).exits(0);
        assert_eq!(output.text() + &output.stderr, "", "{shell}");
    }
}

#[test]
fn every_command_and_option_of_the_help_is_completed() {
    let sandbox = place();
    let help = sandbox.run(&["--help"]).exits(0).text();
    let (_, commands) = help.split_once("Commands:\n").expect("the commands");
    let names: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains(&"backup") && names.len() > 7, "{names:?}");
    let (bash_offers, fish_offers) = (bash(&sandbox, "backupkit "), fish(&sandbox, "backupkit "));
    for name in names {
        assert!(bash_offers.iter().any(|word| word == name), "bash: {name}");
        assert!(fish_offers.iter().any(|word| word == name), "fish: {name}");
        let help = sandbox.run(&[name, "--help"]).exits(0).text();
        let options: Vec<&str> = help
            .lines()
            .filter(|line| line.starts_with("  -"))
            .flat_map(|line| line.split([' ', ',', ':']))
            .filter(|word| word.starts_with("--") && word.len() > 2)
            .collect();
        assert!(options.contains(&"--help"), "{name}: {options:?}");
        let line = format!("backupkit {name} --");
        let (bash_offers, fish_offers) = (bash(&sandbox, &line), fish(&sandbox, &line));
        for option in options {
            for (shell, offers) in [("bash", &bash_offers), ("fish", &fish_offers)] {
                let offered = offers.iter().any(|word| word == option);
                assert!(offered, "{shell}: {name} {option}");
            }
        }
    }
}

#[test]
fn the_names_of_databases_come_from_the_configuration() {
    let sandbox = place();
    for line in [
        "backupkit backup --db ",
        "backupkit --verbose backup --db ",
        "backupkit backup --db=",
        "backupkit -c other.yaml list --db ",
    ] {
        let offered = bash(&sandbox, line);
        assert_eq!(offered, ["app_db", "billing"], "bash: {line}");
        let offered = fish(&sandbox, line);
        let offered: Vec<&str> = offered
            .iter()
            .map(|word| word.trim_start_matches("--db="))
            .collect();
        assert_eq!(offered, ["app_db", "billing"], "fish: {line}");
        let completed = zsh(&sandbox, &format!("{line}bi"));
        assert_eq!(completed, format!("{line}billing"), "zsh");
    }
    assert_eq!(
        bash(&sandbox, "backupkit restore --from a"),
        ["app_db/latest"]
    );
    assert_eq!(bash(&sandbox, "backupkit cat b"), ["billing/latest"]);
    assert_eq!(
        fish(&sandbox, "backupkit restore --from a"),
        ["app_db/latest"]
    );
    assert_eq!(
        zsh(&sandbox, "backupkit restore --from a"),
        "backupkit restore --from app_db/latest"
    );
    // as often as there may be one
    for line in [
        "backupkit verify app_db/latest billing/latest b",
        "backupkit diff app_db/latest b",
    ] {
        let whole = format!("{line}illing/latest");
        assert_eq!(zsh(&sandbox, line), whole);
        assert_eq!(bash(&sandbox, line), ["billing/latest"], "{line}");
        let offered = fish(&sandbox, line);
        assert!(
            offered.contains(&"billing/latest".into()),
            "{line}: {offered:?}"
        );
    }
    // a configuration that is not there is nothing to complete from, and nothing to complain about
    assert!(bash(&sandbox, "backupkit -c nowhere.yaml list --db ").is_empty());
}

#[test]
fn files_are_completed_where_a_file_is_meant() {
    let sandbox = place();
    assert_eq!(bash(&sandbox, "backupkit -c oth"), ["other.yaml"]);
    assert_eq!(bash(&sandbox, "backupkit cat ./oth"), ["./other.yaml"]);
    assert_eq!(fish(&sandbox, "backupkit list -c oth"), ["other.yaml"]);
    assert_eq!(
        zsh(&sandbox, "backupkit list -c oth"),
        "backupkit list -c other.yaml"
    );
    assert_eq!(zsh(&sandbox, "backupkit rest"), "backupkit restore");
    assert_eq!(
        zsh(&sandbox, "backupkit restore --allow-s"),
        "backupkit restore --allow-sql-fallback"
    );
    assert_eq!(
        bash(&sandbox, "backupkit completion "),
        ["bash", "zsh", "fish"]
    );
    let levels = "backupkit verify --level ";
    let expected = ["exists", "checksum", "full", "restore"];
    assert_eq!(bash(&sandbox, levels), expected);
    assert_eq!(fish(&sandbox, levels).len(), 4);
    assert_eq!(
        zsh(&sandbox, &format!("{levels}ch")),
        format!("{levels}checksum")
    );
    for (typed, whole) in [("hel", "help"), ("help res", "help restore")] {
        let (line, last) = (format!("backupkit {typed}"), whole.split(' ').next_back());
        assert_eq!(zsh(&sandbox, &line), format!("backupkit {whole}"));
        assert_eq!(bash(&sandbox, &line).first().map(|word| &**word), last);
        assert_eq!(fish(&sandbox, &line).first().map(|word| &**word), last);
    }
    // nobody has configured what init is asked for
    assert!(bash(&sandbox, "backupkit init --user ").is_empty());
    assert!(bash(&sandbox, "backupkit init --database ").is_empty());
}
