//! The text of a column while it grows.

use std::fmt;

use crate::digits::Ascii;

/// Text to which a value is appended. It is checked once, as a whole, when the column is done: a check of each short piece
/// took longer than what was checked.
#[derive(Debug, Default)]
pub struct Text(Vec<u8>);

impl Text {
    /// With room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Appends a string.
    pub fn push_str(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Appends a character.
    pub fn push(&mut self, c: char) {
        if c.is_ascii() {
            self.0.push(c as u8);
        } else {
            self.push_str(c.encode_utf8(&mut [0; 4]));
        }
    }

    /// Its bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a string.
    pub fn as_str(&self) -> &str {
        self.since(0)
    }

    /// What came behind the first `len` bytes.
    pub(super) fn since(&self, len: usize) -> &str {
        self.0.get(len..).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Takes back what came behind the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push_str(text);
        Ok(())
    }

    fn write_char(&mut self, c: char) -> fmt::Result {
        self.push(c);
        Ok(())
    }
}

impl Ascii for Text {
    fn push_ascii(&mut self, ascii: &[u8]) {
        // The loop is for what should not be: a copy is shorter.
        if ascii.is_ascii() {
            self.0.extend_from_slice(ascii);
        } else {
            self.0.extend(ascii.iter().map(|byte| byte & 0x7f));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_takes_what_a_string_takes(pieces in prop::collection::vec((any::<String>(), any::<char>()), 0..5)) {
            let (mut text, mut string) = (Text::default(), String::new());
            for (piece, c) in pieces {
                let ascii: Vec<u8> = piece.bytes().collect();
                for out in [&mut text as &mut dyn Ascii, &mut string] {
                    out.write_str(&piece).unwrap();
                    out.write_char(c).unwrap();
                    out.push_ascii(&ascii);
                }
                prop_assert_eq!(text.as_str(), &string);
            }
            prop_assert_eq!((text.len(), text.is_empty()), (string.len(), string.is_empty()));
        }
    }
}
