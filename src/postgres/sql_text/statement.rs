//! One statement as psql follows it: where it ends, and whether rows come after it.

/// The beginning of a word, in small letters; longer ones are none of those that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Word {
    text: [u8; 12],
    length: usize,
}

impl Word {
    pub(super) fn push(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.length) {
            *place = byte.to_ascii_lowercase();
        }
        self.length += 1;
    }

    /// The word; empty where it is too long to matter.
    pub(super) fn text(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }

    /// True of a word that moves the end of a statement.
    pub(super) fn moves_the_end(&self) -> bool {
        matches!(self.text(), b"begin" | b"case" | b"end" | b"copy")
    }
}

/// What is known of a statement so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Statement {
    /// Something has come that is neither space nor comment.
    begun: bool,
    /// How many words have come.
    words: usize,
    /// The first letters of the first words that may announce a function.
    first: [u8; 4],
    parentheses: u32,
    /// How deep it is in the body of a function, where semicolons end nothing.
    bodies: u32,
    copy: bool,
    /// The last word is FROM, of a COPY.
    from: bool,
    /// It is a COPY of rows that follow it.
    wants_rows: bool,
}

impl Statement {
    /// A word has come, and it is no quoted one.
    pub(super) fn word(&mut self, word: &Word) {
        let text = word.text();
        if !self.begun {
            self.copy = text == b"copy";
        }
        let outside = self.parentheses == 0;
        // the server takes STDOUT here, too
        self.wants_rows |= self.from && matches!(text, b"stdin" | b"stdout");
        self.from = self.copy && outside && text == b"from";
        self.begun = true;
        let announces = matches!(
            text,
            b"create" | b"function" | b"procedure" | b"or" | b"replace"
        );
        if let Some(place) = self.first.get_mut(self.words).filter(|_| announces) {
            *place = text[0];
        }
        self.words += 1;
        if outside && self.makes_a_function() {
            match text {
                b"begin" => self.bodies += 1,
                b"case" if self.bodies > 0 => self.bodies += 1,
                b"end" => self.bodies = self.bodies.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// psql's own rule.
    fn makes_a_function(&self) -> bool {
        matches!(
            self.first,
            [b'c', b'f' | b'p', ..] | [b'c', b'o', b'r', b'f' | b'p']
        )
    }

    /// Something else has come that is neither space nor comment.
    pub(super) fn other(&mut self, byte: u8) {
        self.begun = true;
        self.from = false;
        match byte {
            b'(' => self.parentheses += 1,
            b')' => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
    }

    /// A semicolon has come. True where it ends a statement that rows follow.
    pub(super) fn semicolon(&mut self) -> bool {
        if self.parentheses > 0 || self.bodies > 0 {
            self.other(b';');
            return false;
        }
        std::mem::take(self).wants_rows
    }

    /// True where nothing has come yet.
    pub(super) fn is_new(&self) -> bool {
        !self.begun
    }
}
