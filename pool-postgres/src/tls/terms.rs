//! What a handshake insists on and shows, read from the settings and their files, for whichever
//! implementation makes it.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use super::{SslMode, Tls};

pub(super) type Problem = Box<dyn std::error::Error + Send + Sync>;

/// The protocol that a handshake without a request before it is for (manual, "ALPN").
pub(super) const PROTOCOL: &str = "postgresql";

pub(super) struct Terms {
    pub(super) trust: Trust,
    /// Who vouches for the server; without them, whom the implementation trusts.
    pub(super) roots: Option<Pem>,
    pub(super) identity: Option<Identity>,
    /// Whether [`PROTOCOL`] is to be agreed on.
    pub(super) is_direct: bool,
}

/// Whose certificate will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Anybody's.
    Anybody,
    /// That of somebody who is vouched for.
    Vouched,
    /// That of the host.
    Host,
}

/// What is shown to the server.
pub(super) struct Identity {
    pub(super) certificates: Pem,
    pub(super) key: Pem,
}

/// A file in PEM.
pub(super) struct Pem {
    file: PathBuf,
    pub(super) text: Vec<u8>,
}

impl Tls {
    pub(super) async fn terms(&self) -> Result<Terms, Problem> {
        let trust = match self.mode {
            SslMode::Disable | SslMode::Prefer => Trust::Anybody,
            SslMode::Require if self.root.is_none() => Trust::Anybody,
            SslMode::Require | SslMode::VerifyCa => Trust::Vouched,
            SslMode::VerifyFull => Trust::Host,
        };
        let roots = match &self.root {
            Some(file) if trust != Trust::Anybody => Some(Pem::read(file).await?),
            _ => None,
        };
        let identity = match (&self.certificate, &self.key) {
            (Some(certificates), Some(key)) => Some(Identity {
                certificates: Pem::read(certificates).await?,
                key: Pem::read(key).await?,
            }),
            _ => None,
        };
        Ok(Terms {
            trust,
            roots,
            identity,
            is_direct: self.is_direct,
        })
    }
}

impl Pem {
    async fn read(file: &Path) -> Result<Self, Problem> {
        match tokio::fs::read(file).await {
            Ok(text) => Ok(Self {
                file: file.to_owned(),
                text,
            }),
            Err(error) => Err(format!("cannot read {}: {error}", file.display()).into()),
        }
    }

    /// The certificates that `parse` finds in it, which must be some.
    pub(super) fn certificates<C, E: Display>(
        &self,
        parse: impl FnOnce(&[u8]) -> Result<Vec<C>, E>,
    ) -> Result<Vec<C>, Problem> {
        match parse(&self.text) {
            Ok(certificates) if certificates.is_empty() => Err(self.problem("no certificate")),
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(self.problem(error)),
        }
    }

    /// What is wrong with it.
    pub(super) fn problem(&self, what: impl Display) -> Problem {
        format!("{}: {what}", self.file.display()).into()
    }
}
