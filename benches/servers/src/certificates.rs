//! Certificates for one server and its clients, from an authority made for it alone.
//!
//! They are made by the `openssl` program and lie in the server's folder, so they go with it. The
//! authority's own key is removed at once: nobody else can be vouched for.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::ServerError;
use crate::folder::Folder;
use crate::programs;

/// The files that clients of a server with TLS need, in PEM.
#[derive(Clone, Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    pub(crate) fn new(folder: &Folder) -> Result<Self, ServerError> {
        let this = Self {
            folder: folder.path().join("tls"),
        };
        fs::create_dir(&this.folder)
            .map_err(ServerError::system("cannot make a folder for certificates"))?;
        // The system's configuration would add extensions of its own.
        fs::write(
            this.file("openssl.cnf"),
            "[req]\ndistinguished_name = name\n[name]\n",
        )
        .map_err(ServerError::system(
            "cannot write the configuration of openssl",
        ))?;
        folder.give()?;
        this.make(
            folder,
            "ca",
            "/CN=pool test authority",
            &[
                "basicConstraints=critical,CA:TRUE",
                "keyUsage=critical,keyCertSign",
            ],
        )?;
        this.make(
            folder,
            "server",
            "/CN=localhost",
            &[
                "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "extendedKeyUsage=serverAuth",
                "basicConstraints=CA:FALSE",
            ],
        )?;
        this.make(
            folder,
            "client",
            "/CN=app",
            &["extendedKeyUsage=clientAuth", "basicConstraints=CA:FALSE"],
        )?;
        fs::remove_file(this.file("ca.key")).map_err(ServerError::system(
            "cannot remove the key of the authority",
        ))?;
        Ok(this)
    }

    /// The certificate of the authority, which clients have to trust.
    pub fn authority(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// A certificate of the user `app`.
    pub fn client(&self) -> PathBuf {
        self.file("client.crt")
    }

    /// Its key.
    pub fn client_key(&self) -> PathBuf {
        self.file("client.key")
    }

    pub(crate) fn server(&self) -> PathBuf {
        self.file("server.crt")
    }

    pub(crate) fn server_key(&self) -> PathBuf {
        self.file("server.key")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A key and a certificate of it, signed by the authority (or by itself, being the authority).
    fn make(
        &self,
        folder: &Folder,
        name: &str,
        subject: &str,
        extensions: &[&str],
    ) -> Result<(), ServerError> {
        let openssl: &Path = &programs::find("openssl", "openssl")?;
        folder.run("openssl", openssl, |command| {
            command
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                ])
                .arg("-config")
                .arg(self.file("openssl.cnf"))
                .args(["-nodes", "-days", "3650", "-subj", subject])
                .arg("-keyout")
                .arg(self.file(&format!("{name}.key")))
                .arg("-out")
                .arg(self.file(&format!("{name}.crt")));
            if name != "ca" {
                command
                    .arg("-CA")
                    .arg(self.authority())
                    .arg("-CAkey")
                    .arg(self.file("ca.key"));
            }
            for extension in extensions {
                command.args(["-addext", extension]);
            }
            command
        })
    }
}
