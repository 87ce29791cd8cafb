//! backupkit(1) and `--help` name the same options: of each command, and in its synopsis.

use crate::support::repository;
use crate::support::sandbox::Sandbox;
use std::collections::BTreeSet;
use std::fs;

/// The words of `text` that are options, as the source of the page writes them: `Fl -db`.
fn options(text: &str) -> BTreeSet<&str> {
    let words = text.split_whitespace();
    words.filter_map(|word| word.strip_prefix('-')).collect()
}

/// What follows a line of `page` that says `heading`, up to the next one that begins with `next`.
fn section<'a>(page: &'a str, heading: impl Fn(&str) -> bool, next: &str) -> Option<&'a str> {
    let mut starts = page.match_indices('\n').map(|(at, _)| at + 1);
    let start = starts.find(|at| heading(page[*at..].lines().next().unwrap_or_default()))?;
    let (_, rest) = page[start..].split_once('\n')?;
    let end = rest.find(&format!("\n{next}")).unwrap_or(rest.len());
    Some(&rest[..end])
}

#[test]
fn the_manual_and_the_help_of_each_command_name_the_same_options() {
    let page = repository().join("man/backupkit.1");
    let page = fs::read_to_string(page).expect("the page is there");
    let sandbox = Sandbox::new(18);
    let help = sandbox.run(&["--help"]).exits(0).text();
    let listed = section(&help, |line| line == "Commands:", "\n").expect("the commands");
    let commands: Vec<&str> = listed
        .lines()
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"init") && commands.contains(&"completion"));
    for command in commands {
        let help = sandbox.run(&[command, "--help"]).exits(0).text();
        let list = section(&help, |line| line == "Options:", "\n").expect("its options");
        // "  -c, --config      the configuration file"
        let items = list.lines().filter(|line| line.starts_with("  -"));
        let mut known: BTreeSet<&str> = items
            .filter_map(|line| {
                line.split_whitespace()
                    .find_map(|word| word.strip_prefix("--"))
            })
            .collect();
        for common in ["config", "verbose", "help"] {
            assert!(known.remove(common), "{command} takes --{common}");
        }
        // stands beside those, with the commands that take it
        known.remove("quiet");
        let of_command = |line: &str| {
            let names = line.strip_prefix(".Ss ").map(|names| names.split(','));
            names.is_some_and(|mut names| names.any(|name| name.trim() == command))
        };
        let text = section(&page, of_command, ".Ss ").expect("a section of the page");
        let items = text.lines().filter(|line| line.starts_with(".It Fl"));
        let described = items.flat_map(|line| options(line)).collect();
        assert_eq!(known, described, "the section of {command}");

        let synopsis: BTreeSet<&str> = page
            .split("\n.Nm\n.Cm ")
            .skip(1)
            .map(|rest| rest.split("\n.Nm").next().unwrap_or_default())
            .map(|rest| rest.split("\n.Sh").next().unwrap_or_default())
            .filter(|rest| {
                let line = rest.lines().next().unwrap_or_default();
                line.split(" | ").any(|name| name == command)
            })
            .flat_map(|rest| options(rest))
            .collect();
        assert_eq!(known, synopsis, "the synopsis of {command}");
    }
}
