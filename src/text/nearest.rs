//! "Did you mean": the known word nearest to a misspelt one.

/// The one of `known` that `word` most likely stands for, if any is near: a third of its letters may
/// be wrong, missing, added or swapped with a neighbour. Case and the choice of `-` or `_` do not count.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = fold(word);
    known
        .iter()
        .map(|candidate| (distance(&word, &fold(candidate)), *candidate))
        .filter(|(steps, candidate)| *steps <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, candidate)| candidate)
}

fn fold(word: &str) -> Vec<char> {
    word.chars()
        .take(64) // no key is that long, and the work is bounded
        .map(|letter| match letter {
            '-' => '_',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

/// Edits between two words, a swap of neighbours counting as one (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    // one word against nothing takes as many edits as the other is long
    let edge = |i: usize, j: usize| if i == 0 || j == 0 { i + j } else { 0 };
    let row = |i| (0..=b.len()).map(move |j| edge(i, j)).collect();
    let mut rows: Vec<Vec<usize>> = (0..=a.len()).map(row).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_finds_its_neighbour() {
        let known = ["schedule", "storage", "compression", "encryption", "to"];
        assert_eq!(nearest("shedule", &known), Some("schedule"));
        assert_eq!(nearest("Storage", &known), Some("storage"));
        assert_eq!(nearest("storgae", &known), Some("storage"));
        assert_eq!(nearest("compress", &known), Some("compression"));
        assert_eq!(nearest("retention", &known), None);
        assert_eq!(nearest("", &known), None);
        assert_eq!(nearest("keep-daily", &["keep_daily"]), Some("keep_daily"));
    }
}
