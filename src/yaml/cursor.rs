//! A value of the tree together with its key path and the way to it.

use super::document::Node;
use super::shown::{shown, shown_key};

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Spot<'n> {
    pub node: &'n Node,
    pub path: String,
    pub steps: Vec<usize>,
}

/// A mapping with keys that are all known.
pub(crate) struct KeyTable<'n> {
    pub spot: Spot<'n>,
    pub entries: &'n [(String, Node)],
    /// The known keys that misspelt ones here stand for most likely.
    pub misspelt: Vec<String>,
}

impl<'n> Spot<'n> {
    pub(crate) fn child(&self, index: usize, node: &'n Node, path: String) -> Spot<'n> {
        let mut steps = self.steps.clone();
        steps.push(index);
        Spot { node, path, steps }
    }

    pub(crate) fn entry(&self, index: usize, key: &str, node: &'n Node) -> Spot<'n> {
        let key = shown_key(index, key);
        let path = match self.path.is_empty() {
            true => key,
            false => format!("{}.{key}", self.path),
        };
        self.child(index, node, path)
    }

    /// The value of a key, if this is a mapping that has it.
    pub(crate) fn field(&self, key: &str) -> Option<Spot<'n>> {
        let Node::Mapping(entries) = self.node else {
            return None;
        };
        let index = entries.iter().position(|(known, _)| known == key)?;
        Some(self.entry(index, key, &entries[index].1))
    }

    /// True for a value that is not there or is the empty string: an optional key then counts as left out.
    fn is_blank(&self) -> bool {
        match self.node {
            Node::Nothing => true,
            Node::Text(text) => text.is_empty(),
            _ => false,
        }
    }

    /// What was found, as words. A secret's value is not among them.
    pub(crate) fn found(&self, secret: bool) -> String {
        match self.node {
            Node::Nothing => "nothing".into(),
            Node::List(_) => "a list".into(),
            Node::Mapping(_) => "a mapping".into(),
            Node::Flag(_) | Node::Whole(_) | Node::Fraction(_) | Node::Text(_) if secret => {
                match self.node {
                    Node::Flag(_) => "true or false".into(),
                    Node::Text(_) => "a string".into(),
                    _ => "a number".into(),
                }
            }
            Node::Flag(value) => value.to_string(),
            Node::Whole(value) => format!("the number {value}"),
            Node::Fraction(value) => format!("the number {value:?}"),
            Node::Text(value) => match shown(value) {
                quoted if quoted.starts_with('"') => format!("the string {quoted}"),
                hidden => format!("a string of {hidden}"),
            },
        }
    }
}

impl<'n> KeyTable<'n> {
    /// The value of a key, unless it is absent or empty.
    pub(crate) fn get(&self, key: &str) -> Option<Spot<'n>> {
        self.given(key).filter(|spot| !spot.is_blank())
    }

    /// The value of a key, which may be empty.
    pub(crate) fn given(&self, key: &str) -> Option<Spot<'n>> {
        self.spot.field(key)
    }

    /// All entries: index by order in the file, key, value.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'n str, Spot<'n>)> {
        let entries = self.entries.iter().enumerate();
        entries.map(|(index, (key, node))| (key.as_str(), self.spot.entry(index, key, node)))
    }
}
