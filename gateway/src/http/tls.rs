//! The gateway's own TLS: rustls with ring, HTTP/2 by ALPN, and a certificate that is read again when it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use promcast_runtime::lifecycle::Tasks;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

/// How often the files are read again. Short against the overlap that any renewal leaves.
const REREAD: Duration = Duration::from_secs(5);

/// HTTP/2, where client and gateway agree on what they speak (RFC 7301; RFC 9113, 3.2).
pub(super) const HTTP2: &[u8] = b"h2";

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read, or is not PEM.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The file has no certificate in it.
    #[error("{0} holds no certificate")]
    Empty(PathBuf),
    /// Certificate and key do not belong together, or the key is of no use.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Where certificate and key are.
#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The certificate in use.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

/// TLS with the certificate and key in these PEM files, which are followed from then on.
pub fn acceptor(certificate: &Path, key: &Path, tasks: &Tasks) -> Result<TlsAcceptor, Error> {
    let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
    let current = Arc::new(Current(RwLock::new(Arc::new(files.read()?))));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(current.clone());
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    tasks.background().spawn("certificate", follow(files, current));
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Whether certificate and key can be used.
pub fn check(certificate: &Path, key: &Path) -> Result<(), Error> {
    let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
    files.read().map(drop)
}

/// Takes a new certificate into use. One that cannot be used, as while only one of the files is written, changes nothing.
async fn follow(files: Files, current: Arc<Current>) {
    let mut told = false;
    loop {
        tokio::time::sleep(REREAD).await;
        match files.read() {
            Ok(new) => {
                told = false;
                let changed = new.cert != current.0.read().cert;
                if changed {
                    *current.0.write() = Arc::new(new);
                    info!(certificate = %files.certificate.display(), "new certificate");
                }
            }
            Err(error) if !told => {
                told = true;
                warn!(%error, "the certificate cannot be read again; the last one stays in use");
            }
            Err(_) => {}
        }
    }
}

impl Files {
    fn read(&self) -> Result<CertifiedKey, Error> {
        let unreadable = |path: &Path, source| Error::Unreadable { path: path.to_owned(), source };
        let chain: Vec<_> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(|source| unreadable(&self.certificate, source))?;
        if chain.is_empty() {
            return Err(Error::Empty(self.certificate.clone()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|source| unreadable(&self.key, source))?;
        Ok(CertifiedKey::from_der(chain, key, &ring::default_provider())?)
    }
}
