//! Stands between a client and a server and ends the client's encryption: as an impostor, or in the
//! place of a server that is newer.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use pool_servers::{Certificates, Server};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

type Problem = Box<dyn std::error::Error + Send + Sync>;

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// It shows a certificate of its own and passes on what both say.
pub(crate) struct Front {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Front {
    /// Shows the certificate `shown`, and speaks to `server` over another encrypted connection.
    pub(crate) async fn impostor(shown: &Certificates, server: &Server) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(shows(shown)));
        let connector = TlsConnector::from(Arc::new(trusts(server.certificates().unwrap())));
        let server = server.address();
        Self::start(move |mut client| {
            let (acceptor, connector) = (acceptor.clone(), connector.clone());
            async move {
                let mut request = [0; 8];
                client.read_exact(&mut request).await?;
                assert_eq!(request, SSL_REQUEST);
                client.write_all(b"S").await?;
                let mut client = acceptor.accept(client).await?;
                let mut stream = TcpStream::connect(server).await?;
                stream.write_all(&SSL_REQUEST).await?;
                assert_eq!(stream.read_u8().await?, b'S');
                let name = ServerName::from(server.ip());
                let mut stream = connector.connect(name, stream).await?;
                copy_bidirectional(&mut client, &mut stream).await?;
                Ok(())
            }
        })
        .await
    }

    /// Takes handshakes without a request before them, as PostgreSQL 17 does, and agrees on one of
    /// `protocols`. Speaks to `server` unencrypted.
    pub(crate) async fn direct(protocols: &[&str], server: &Server) -> Self {
        let mut shows = shows(server.certificates().unwrap());
        shows.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        let acceptor = TlsAcceptor::from(Arc::new(shows));
        let server = server.address();
        Self::start(move |client| {
            let acceptor = acceptor.clone();
            async move {
                let mut client = acceptor.accept(client).await?;
                let mut stream = TcpStream::connect(server).await?;
                copy_bidirectional(&mut client, &mut stream).await?;
                Ok(())
            }
        })
        .await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    async fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), Problem>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client));
            }
        });
        Self { address, task }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn shows(certificates: &Certificates) -> ServerConfig {
    let file = |name| certificates.authority().with_file_name(name);
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate(&file("server.crt"))], key)
        .unwrap()
}

fn trusts(certificates: &Certificates) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&certificates.authority())).unwrap();
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn certificate(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).unwrap()
}
