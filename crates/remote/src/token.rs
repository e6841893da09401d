//! The secret that a client shows.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A secret. It does not show itself.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Longest token: what fits a header beside the others.
    pub const MAX: usize = 1024;

    /// A token that the user gave: printable ASCII without blanks, as it goes into a header. Blanks around it are taken off.
    ///
    /// # Errors
    /// When it cannot be one; the message does not show it.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.len() {
            0 => Err("the token is empty".into()),
            n if n > Self::MAX => Err(format!("the token has more than {} characters", Self::MAX)),
            _ if !text.bytes().all(|b| b.is_ascii_graphic()) => {
                Err("the token has other characters than letters, digits and punctuation of ASCII".into())
            }
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// A new one of 256 random bits.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate() -> Result<Self, String> {
        random::<32>().map(|bytes| Self(hex(&bytes)))
    }

    /// The secret itself, for the header and for the user who asked for it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether another text is the same, in a time that says nothing of where it differs or how long it is.
    pub(crate) fn is(&self, other: &[u8]) -> bool {
        Sha256::digest(self.0.as_bytes()).as_slice().ct_eq(Sha256::digest(other).as_slice()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system has no random numbers".to_owned())?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_compared_and_never_shown() {
        let token = Token::new(" s3cret\n").unwrap();
        assert!(token.is(b"s3cret") && !token.is(b"s3cre") && !token.is(b"") && !token.is(b"s3creT"));
        assert!(!format!("{token:?}").contains("s3cret"));
        for wrong in ["", "  ", "two words", "ümlaut", &"x".repeat(Token::MAX + 1)] {
            let message = Token::new(wrong).unwrap_err();
            assert!(wrong.trim().is_empty() || !message.contains(wrong));
        }
        assert_ne!(Token::generate().unwrap().reveal(), Token::generate().unwrap().reveal());
    }
}
