//! What stores say when they refuse, and what to do about it.

use std::error::Error;
use std::path::Path;

use object_store::Error as StoreError;

use super::open::Kind;
use crate::FileError;

impl Kind {
    /// What to set so that a store knows who asks.
    fn credentials(self) -> &'static str {
        match self {
            Self::Aws => {
                "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION to those of somebody who may read it \
                 (AWS_ENDPOINT where the store is not Amazon's), or AWS_SKIP_SIGNATURE=true where everybody may"
            }
            Self::Gcp => {
                "set GOOGLE_APPLICATION_CREDENTIALS to the key file of an account that may read it, or \
                 GOOGLE_SKIP_SIGNATURE=true where everybody may"
            }
            Self::Azure => {
                "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or another credential, to those of \
                 somebody who may read it, or AZURE_SKIP_SIGNATURE=true where everybody may"
            }
            Self::Http => "the server wants to know who asks: use a signed URL",
        }
    }

    /// How its containers are called.
    fn container(self) -> &'static str {
        match self {
            Self::Aws | Self::Gcp => "bucket",
            Self::Azure => "container",
            Self::Http => "server",
        }
    }
}

/// What went wrong with an object, or with a listing.
pub(super) fn explain(path: &Path, kind: Kind, error: &StoreError) -> FileError {
    let said = said(error);
    let problem = match error {
        StoreError::Precondition { .. } => {
            return FileError::Changed { path: path.to_owned(), problem: "its ETag is another".into() };
        }
        StoreError::NotFound { .. } => {
            format!("not found; check the names of the {} and of the object: {said}", kind.container())
        }
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
            format!("may not be read; {}: {said}", kind.credentials())
        }
        StoreError::NotSupported { .. } => {
            format!("the server gives whole files alone; copy it to where parts can be asked for: {said}")
        }
        StoreError::UnknownConfigurationKey { .. } => {
            format!("{said} Set those that the store knows, and no others")
        }
        _ if is_about_credentials(&said) => format!("no credentials were found; {}: {said}", kind.credentials()),
        _ => said,
    };
    FileError::Store { path: path.to_owned(), problem }
}

/// Without credentials, stores of clouds ask the machine that they believe to run on.
fn is_about_credentials(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    ["metadata", "credential", "169.254.", "token", "account must be specified"].iter().any(|word| said.contains(word))
}

/// The innermost that an error says; those outside repeat it, with names that are not the reader's.
fn said(error: &StoreError) -> String {
    let mut inner: &dyn Error = error;
    let mut text = error.to_string();
    while let Some(source) = inner.source() {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        inner = source;
    }
    text
}
