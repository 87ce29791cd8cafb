//! The help as terminals of eighty columns show it: argh wraps what it says of options, and neither the usage nor notes.

const WIDTH: usize = 80;
const USAGE: &str = "Usage: ";
const NOTES: &str = "Notes:";

/// `help` with every line wrapped that is text; examples stay as they are, to be copied.
pub(super) fn wrapped(help: &str) -> String {
    let mut text = String::new();
    let mut notes: Option<String> = None;
    for line in help.lines() {
        match &mut notes {
            Some(paragraph) if line.trim().is_empty() => {
                text.push_str(&folded(paragraph, "  ", "  "));
                text.push('\n');
                notes = None;
            }
            // a sentence that ends a line ends a paragraph
            Some(paragraph) if paragraph.ends_with('.') => {
                text.push_str(&folded(paragraph, "  ", "  "));
                *paragraph = line.trim().to_string();
            }
            Some(paragraph) => {
                paragraph.push(' ');
                paragraph.push_str(line.trim());
            }
            None => match line.strip_prefix(USAGE) {
                Some(usage) => text.push_str(&folded(&glued(usage), USAGE, "         ")),
                None => {
                    text.push_str(line);
                    text.push('\n');
                }
            },
        }
        if line == NOTES {
            notes = Some(String::new());
        }
    }
    if let Some(paragraph) = notes {
        text.push_str(&folded(&paragraph, "  ", "  "));
    }
    text
}

/// Stands for a space at which no line ends.
const GLUE: char = '\u{a0}';

/// An option stays on one line with its value.
fn glued(usage: &str) -> String {
    let parts = usage.split(" [").enumerate();
    let parts = parts.map(|(index, part)| match index {
        0 => part.to_string(),
        _ => format!(
            "[{}",
            part.split(' ').collect::<Vec<_>>().join(&GLUE.to_string())
        ),
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// `text` over as many lines as it takes, the first behind `first`, the others behind `indent`.
fn folded(text: &str, first: &str, indent: &str) -> String {
    let mut folded = String::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let width = line.chars().count() + 1 + word.chars().count();
        if line.is_empty() {
            line = format!("{first}{word}");
        } else if width > WIDTH {
            folded.push_str(&line);
            folded.push('\n');
            line = format!("{indent}{word}");
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    if !line.is_empty() {
        folded.push_str(&line);
        folded.push('\n');
    }
    folded.replace(GLUE, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_and_notes_are_wrapped_and_examples_are_not() {
        let long = "    $ backupkit ".to_string() + &"x".repeat(100);
        let option = "[--option <VALUE>]";
        let help = format!(
            "Usage: backupkit c {}\n\nWhat it does.\n\nExamples:\n  So:\n{long}\n\nNotes:\n  \
             One sentence that\n  goes on {}.\n  Another.\n",
            [option; 9].join(" "),
            ["word"; 20].join(" ")
        );
        let text = wrapped(&help);
        for line in text.lines().filter(|line| *line != long) {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert_eq!(text.matches(option).count(), 9, "{text}");
        assert!(
            text.contains(&long) && text.ends_with(".\n  Another.\n"),
            "{text}"
        );
        assert!(text.contains("  One sentence that goes on word"), "{text}");
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(plain(&text), plain(&help));
    }
}
