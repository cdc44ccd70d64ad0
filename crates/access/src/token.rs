//! Tokens: what the holder of a key sends along, and what is kept of it.
//!
//! ```text
//! lf_xxxxxxxx_yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy
//!    id       32 random bytes, base64url without padding
//! ```

use std::fmt;
use std::hint::black_box;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::AccessError;

/// How every token begins, so that scanners of leaked secrets and people know one.
const PREFIX: &str = "lf_";
const ID_CHARS: usize = 8;
const SECRET_BYTES: usize = 32;
/// 32 bytes of six bits a character.
const SECRET_CHARS: usize = 43;
/// The letters of ids: five bits each, and none that people take for another (Crockford's base 32, in lower case).
const ID_LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Names a key. It is no secret: it stands in lists and logs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; ID_CHARS]);

impl KeyId {
    pub(crate) fn random() -> Result<Self, AccessError> {
        let mut id = [0; ID_CHARS];
        fill_randomly(&mut id)?;
        let letter = |byte: &u8| ID_LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'0');
        Ok(Self(id.each_ref().map(letter)))
    }

    fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyId {
    type Err = AccessError;

    fn from_str(word: &str) -> Result<Self, AccessError> {
        let id: Option<[u8; ID_CHARS]> = word.as_bytes().try_into().ok();
        id.filter(|id| id.iter().all(|byte| ID_LETTERS.contains(byte))).map(Self).ok_or(AccessError::BadId)
    }
}

impl TryFrom<String> for KeyId {
    type Error = AccessError;

    fn try_from(word: String) -> Result<Self, AccessError> {
        word.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.as_str().to_owned()
    }
}

/// A key's secret text, wiped from memory when dropped. It can't be had again, and its `Debug` form doesn't show it.
pub struct Token(Zeroizing<String>);

impl Token {
    pub(crate) fn random(id: KeyId) -> Result<Self, AccessError> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        fill_randomly(secret.as_mut_slice())?;
        // As long as it will get, so that growing leaves no copy behind.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS + 1));
        text.push_str(PREFIX);
        text.push_str(id.as_str());
        text.push('_');
        URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut text);
        Ok(Self(text))
    }

    /// The text, to be shown once to the one who asked for the key.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The id in a token's text; `None` for a text that can't be a token.
pub(crate) fn id_in(token: &str) -> Option<KeyId> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_at_checked(ID_CHARS)?;
    let secret = secret.strip_prefix('_')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if secret.len() != SECRET_CHARS || !secret.bytes().all(plain) {
        return None;
    }
    id.parse().ok()
}

/// SHA-256 of a whole token, in the file as hexadecimal digits. Nobody gets from it to the token, but it shows that
/// two lists hold the same key, so `Debug` doesn't show it.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(crate) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Compares in a time that doesn't depend on where the hashes differ.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let differing = self.0.iter().zip(&other.0).fold(0, |seen, (one, other)| black_box(seen | (one ^ other)));
        black_box(differing) == 0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

impl TryFrom<String> for TokenHash {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, Self::Error> {
        let expected = "a hash has 64 hexadecimal digits";
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(expected);
        }
        let (pairs, _) = digits.as_bytes().as_chunks::<2>();
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let digit = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok()).ok_or(expected);
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

impl From<TokenHash> for String {
    fn from(hash: TokenHash) -> Self {
        let nibbles = hash.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        nibbles.filter_map(|nibble| char::from_digit(nibble.into(), 16)).collect()
    }
}

fn fill_randomly(bytes: &mut [u8]) -> Result<(), AccessError> {
    getrandom::fill(bytes).map_err(|error| AccessError::Randomness { reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_names_its_key_and_two_of_one_key_differ() {
        let id = KeyId::random().unwrap();
        let (one, other) = (Token::random(id).unwrap(), Token::random(id).unwrap());
        assert_eq!((id_in(one.expose()), id_in(other.expose())), (Some(id), Some(id)));
        assert_eq!(one.expose().len(), PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS);
        assert_eq!(one.0.capacity(), PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS + 1, "it grew and left a copy");
        assert_ne!(one.expose(), other.expose());
        assert!(!TokenHash::of(one.expose()).is(&TokenHash::of(other.expose())));
        assert!(!format!("{one:?}").contains(id.as_str()));
    }

    #[test]
    fn a_hash_is_the_one_that_everybody_computes() {
        let hash = String::from(TokenHash::of("abc"));
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(TokenHash::try_from(hash).unwrap().is(&TokenHash::of("abc")));
        assert!(TokenHash::try_from("zz".repeat(32)).is_err());
        assert!(TokenHash::try_from("00".repeat(31)).is_err());
        assert!(TokenHash::try_from("é".repeat(32)).is_err());
    }

    #[test]
    fn hashes_that_differ_in_one_bit_are_not_the_same() {
        let hash = TokenHash::of("abc");
        for bit in 0..256 {
            let mut other = hash;
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!hash.is(&other), "bit {bit}");
        }
    }

    #[test]
    fn texts_that_are_no_tokens_name_no_key() {
        let secret = "A".repeat(SECRET_CHARS);
        for text in [
            String::new(),
            "lf_".to_owned(),
            format!("lf_abcdefgh{secret}"),
            format!("LF_abcdefgh_{secret}"),
            format!("lf_abcdefgi_{secret}"),
            format!("lf_abcdefgh_{secret}A"),
            format!("lf_abcdefgh_{secret} "),
            format!("lf_abcdefgé_{secret}"),
            format!("lf_abcdefgh_{}=", "A".repeat(SECRET_CHARS - 1)),
        ] {
            assert_eq!(id_in(&text), None, "{text}");
        }
        assert!(id_in(&format!("lf_abcdefgh_{secret}")).is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_without_a_panic(text in any::<String>(), tail in "lf_.{0,60}") {
            prop_assert_eq!(id_in(&text), None);
            id_in(&tail);
            let _ = TokenHash::try_from(text);
        }
    }
}
