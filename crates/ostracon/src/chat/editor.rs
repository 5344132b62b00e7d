//! The line that is being typed: a cursor, and what was typed before. It knows no terminal.

/// Lines remembered for the up key.
const REMEMBERED: usize = 200;

/// A line with a cursor.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    text: Vec<char>,
    cursor: usize,
    before: Vec<String>,
    /// Which of `before` is shown; its length: a new line.
    at: usize,
}

impl Editor {
    pub(crate) fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// What stands left of the cursor.
    pub(crate) fn left_of_cursor(&self) -> String {
        self.text[..self.cursor].iter().collect()
    }

    pub(crate) fn insert(&mut self, c: char) {
        self.text.insert(self.cursor, c);
        self.cursor += 1;
    }

    pub(crate) fn backspace(&mut self) {
        if self.cursor > 0 {
            self.cursor -= 1;
            self.text.remove(self.cursor);
        }
    }

    pub(crate) fn delete(&mut self) {
        if self.cursor < self.text.len() {
            self.text.remove(self.cursor);
        }
    }

    /// Removes the word left of the cursor.
    pub(crate) fn delete_word(&mut self) {
        let is_space = |editor: &Self| editor.cursor > 0 && editor.text[editor.cursor - 1] == ' ';
        while is_space(self) {
            self.backspace();
        }
        while self.cursor > 0 && !is_space(self) {
            self.backspace();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.cursor = 0;
    }

    pub(crate) fn left(&mut self) {
        self.cursor = self.cursor.saturating_sub(1);
    }

    pub(crate) fn right(&mut self) {
        self.cursor = (self.cursor + 1).min(self.text.len());
    }

    pub(crate) fn home(&mut self) {
        self.cursor = 0;
    }

    pub(crate) fn end(&mut self) {
        self.cursor = self.text.len();
    }

    pub(crate) fn up(&mut self) {
        self.recall(self.at.saturating_sub(1));
    }

    pub(crate) fn down(&mut self) {
        self.recall((self.at + 1).min(self.before.len()));
    }

    fn recall(&mut self, at: usize) {
        self.at = at;
        self.text = self.before.get(at).map(|line| line.chars().collect()).unwrap_or_default();
        self.end();
    }

    /// Takes the line and begins a new one.
    pub(crate) fn enter(&mut self) -> String {
        let line = self.text();
        self.clear();
        if !line.trim().is_empty() && self.before.last() != Some(&line) {
            self.before.push(line.clone());
            if self.before.len() > REMEMBERED {
                self.before.remove(0);
            }
        }
        self.at = self.before.len();
        line
    }
}
