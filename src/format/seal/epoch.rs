//! Epoch keys: one random key under which many short processes seal, so that none of them derives anything from a password.

use super::key_derivation::{self, Key};
use crate::error::Result;
use crate::files::random;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What names an epoch key: the first half of HKDF-SHA256(key, "backupkit/v2/epoch-id") with an empty salt. Prints as 32 hex
/// digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochKeyId(pub(super) [u8; 16]);

impl EpochKeyId {
    /// Reads the 32 hex digits that it prints.
    pub fn parse(text: &str) -> Option<EpochKeyId> {
        let digits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text.len() == 32 && text.bytes().all(digits) {
            true => {
                let number = u128::from_str_radix(text, 16).ok()?;
                Some(EpochKeyId(number.to_be_bytes()))
            }
            false => None,
        }
    }
}

impl fmt::Display for EpochKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A key of 32 random bytes, wiped when the last that holds it is dropped.
#[derive(Clone)]
pub struct EpochKey {
    key: Arc<Key>,
    id: EpochKeyId,
}

impl EpochKey {
    /// A new one.
    pub fn draw() -> Result<EpochKey> {
        let mut key = Zeroizing::new([0; 32]);
        random::fill(key.as_mut())?;
        Ok(EpochKey::of(key))
    }

    /// The one of these bytes.
    pub fn of(key: Zeroizing<[u8; 32]>) -> EpochKey {
        let id = EpochKeyId(key_derivation::epoch_id(&key));
        EpochKey {
            key: Arc::new(key),
            id,
        }
    }

    /// Its name.
    pub fn id(&self) -> EpochKeyId {
        self.id
    }

    /// Itself, to be sealed or kept where nobody else reads.
    pub fn expose(&self) -> &[u8; 32] {
        &self.key
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_one_that_another_implementation_gives() {
        let text = "922da0f4c79b9e91bda080da1f19d1671517cd6419f54cb10bf14e5e8c5895fd";
        let byte = |at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
        let key = EpochKey::of(Zeroizing::new(std::array::from_fn(byte)));
        let name = "6bc1951841b4acef9cc7807648120a54";
        assert_eq!(key.id().to_string(), name);
        assert_eq!(EpochKeyId::parse(name), Some(key.id()));
        for other in [
            "",
            &name[1..],
            &name.to_uppercase(),
            "+bc1951841b4acef9cc7807648120a54",
        ] {
            assert_eq!(EpochKeyId::parse(other), None, "{other}");
        }
    }
}
