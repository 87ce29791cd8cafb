//! How deep brackets are nested, seen before the parser sees them: it looks at every open bracket again for each further
//! sign, so that a few hundred thousand of them would keep it for hours.
//!
//! Only as much of YAML is known here as that needs: a bracket counts where a value may begin, and inside of others, but not
//! in quotes and comments.

/// As deep as the parser itself goes.
pub(crate) const DEEPEST: usize = 128;

/// Line and column, from 1, of the bracket that is one too deep.
pub(crate) fn too_deep(text: &str) -> Option<(usize, usize)> {
    let (mut line, mut column, mut depth) = (1, 0, 0usize);
    let mut quote = None;
    // the last two characters that are no space, on this line
    let mut before = (None, None);
    let mut after_space = true;
    let mut comment = false;
    let mut escaped = false;
    for c in text.chars() {
        column += 1;
        if c == '\n' {
            (line, column) = (line + 1, 0);
            (before, after_space, comment, escaped) = ((None, None), true, false, false);
            continue;
        }
        if comment {
            continue;
        }
        if let Some(mark) = quote {
            match c {
                _ if escaped => escaped = false,
                '\\' if mark == '"' => escaped = true,
                _ if c == mark => quote = None,
                _ => {}
            }
            before = (before.1, Some(c));
            after_space = false;
            continue;
        }
        let indicator = matches!(before.1, None | Some(':' | '-' | '?' | ','));
        let opens = depth > 0 && matches!(before.1, Some('[' | '{'));
        let may_begin = opens || (indicator && (after_space || depth > 0));
        match c {
            '#' if after_space => comment = true,
            '"' | '\'' if may_begin => quote = Some(c),
            '[' | '{' if may_begin || depth > 0 => {
                depth += 1;
                if depth > DEEPEST {
                    return Some((line, column));
                }
            }
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        after_space = c.is_whitespace();
        if !after_space {
            before = (before.1, Some(c));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_brackets_that_open_something_count() {
        for fine in [
            "a: b\n".repeat(10_000),
            "a: [x, {y: z}]\n".repeat(10_000),
            format!("a: \"{}\"\n", "[".repeat(1000)),
            format!("a: '{}'\n", "{".repeat(1000)),
            format!("a: it's {}\n", "[".repeat(1000)),
            format!("a: [1] # {}\n", "[".repeat(1000)),
            format!("# {}\n", "{".repeat(1000)),
            format!("a: {}{}\n", "[".repeat(DEEPEST), "]".repeat(DEEPEST)),
        ] {
            assert_eq!(too_deep(&fine), None, "{}", &fine[..20]);
        }
        for deep in [
            format!("a: {}", "[".repeat(200)),
            format!("a: {}", "{b: ".repeat(200)),
            format!("- {}", "[\n".repeat(200)),
            format!("a: {}", "['x', ".repeat(200)),
            "[".repeat(200),
        ] {
            assert!(too_deep(&deep).is_some(), "{deep}");
        }
        assert_eq!(
            too_deep(&format!("a:\n  {}", "[".repeat(200))),
            Some((2, 131))
        );
    }
}
