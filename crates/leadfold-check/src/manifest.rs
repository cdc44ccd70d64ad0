//! What a bundle says about itself.

use serde::Deserialize;

use crate::merkle::Hash;

/// The form that this program knows.
pub(crate) const FORMAT: &str = "leadfold-proof/1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) format: String,
    pub(crate) program: String,
    pub(crate) key: String,
    pub(crate) tenant: String,
    pub(crate) about: String,
    pub(crate) size: u64,
    pub(crate) earlier: Vec<Earlier>,
    pub(crate) records: Vec<Listed>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) files: Vec<File>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Earlier {
    pub(crate) size: u64,
    pub(crate) file: String,
    pub(crate) proof: Vec<Digits>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listed {
    pub(crate) position: u64,
    pub(crate) file: String,
    pub(crate) policy_version: Option<u32>,
    pub(crate) sealed_sha256: Option<Digits>,
    pub(crate) proof: Vec<Digits>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    pub(crate) version: u32,
    pub(crate) position: u64,
    pub(crate) file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) bytes: usize,
    pub(crate) sha256: Digits,
}

/// A hash as 64 hexadecimal digits.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Digits(pub(crate) Hash);

impl TryFrom<String> for Digits {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let form = "a hash is 64 hexadecimal digits";
        if text.len() != 64 {
            return Err(form);
        }
        let mut hash = [0; 32];
        for (place, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(pair).map_err(|_| form)?;
            *place = u8::from_str_radix(digits, 16).map_err(|_| form)?;
        }
        Ok(Self(hash))
    }
}
