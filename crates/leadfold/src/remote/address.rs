//! The address of a service, and what to say when nobody answers there.

use std::error::Error;
use std::fmt;
use std::path::Path;

use reqwest::Url;

use super::RemoteError;
use crate::failure::UsageError;

/// Where a service is.
pub(super) struct Address {
    /// Without a slash at its end.
    base: Url,
    /// For a service that was found by the folder that it holds.
    folder: Option<String>,
}

impl Address {
    /// The address that the caller gave.
    pub(super) fn named(url: &str) -> Result<Self, UsageError> {
        let wrong = || {
            let example = "such as https://leadfold.example.com";
            UsageError(format!(
                "--server must be the address of a service, {example}, without a name or a password in it"
            ))
        };
        let base = Url::parse(url).map_err(|_| wrong())?;
        let is_plain = base.username().is_empty() && base.password().is_none() && base.query().is_none();
        let is_http = matches!(base.scheme(), "http" | "https") && base.has_host();
        (is_plain && is_http).then_some(Self { base, folder: None }).ok_or_else(wrong)
    }

    /// The address that was left in a folder.
    pub(super) fn holding(url: &str, folder: &Path) -> Result<Self, UsageError> {
        let address = Self::named(url).map_err(|_| {
            UsageError(format!("the address of the service in {} makes no sense", folder.join("address").display()))
        })?;
        Ok(Self { folder: Some(folder.display().to_string()), ..address })
    }

    /// Whether it leads to a program on this machine.
    pub(super) const fn is_here(&self) -> bool {
        self.folder.is_some()
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// The address of a request.
    pub(super) fn url(&self, path: &str, query: &[(String, String)]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// What to say when a request can't be made.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> RemoteError {
        let mut reason = if error.is_timeout() { "it doesn't answer".to_owned() } else { root(error) };
        if let Some(folder) = &self.folder {
            let advice = match self.is_encrypted() {
                true => "name it with --server as its certificate does",
                false => "look whether it is well, or stop it",
            };
            reason = format!("{reason}. It holds the data folder {folder}: {advice}");
        }
        RemoteError::Unreachable { server: self.to_string(), reason }
    }

    /// What to say when something else answers.
    pub(super) fn foreign(&self) -> RemoteError {
        RemoteError::Foreign { server: self.to_string() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

/// The first cause.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(further) = cause.source() {
        cause = further;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_path_and_no_secret() {
        let address = Address::named("https://example.com/leads/").unwrap();
        let query = [("q".to_owned(), "a b&c".to_owned())];
        assert_eq!(address.url("/v1/leads", &query).as_str(), "https://example.com/leads/v1/leads?q=a+b%26c");
        assert_eq!(Address::named("http://[::1]:80").unwrap().url("/healthz", &[]).as_str(), "http://[::1]/healthz");
        for wrong in ["", "example.com", "ftp://example.com", "https://me:secret@example.com", "http://x/?a=b"] {
            let Err(error) = Address::named(wrong) else { panic!("{wrong}") };
            assert!(!error.to_string().contains("secret"));
        }
    }
}
