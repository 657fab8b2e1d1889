//! Which API server, and by which credentials.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{AuthInfo, InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// Why the API server cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no service account, as outside of a pod.
    #[error(
        "this is no pod with a service account ({0}): outside of a cluster give `auth.kubernetes.kubeconfig`"
    )]
    NotInCluster(#[source] Box<InClusterError>),
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig {path} cannot be used: {source}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<KubeconfigError>,
    },
    /// A context needs a file to be in.
    #[error("`auth.kubernetes.context` needs `auth.kubernetes.kubeconfig`")]
    ContextWithoutFile,
    /// Whoever sits in between could vouch for anybody.
    #[error(
        "the kubeconfig skips the check of the API server's certificate: give `certificate-authority` in place of `insecure-skip-tls-verify`"
    )]
    Unverified,
    /// Whoever sits in between could vouch for anybody, and read all tokens.
    #[error("the API server is reached in clear at {0}: only https, or http on a loopback address, is used")]
    InClear(String),
    /// Credentials or certificates are of no use.
    #[error("the API server's client cannot be made: {0}")]
    Client(#[from] Box<kube::Error>),
    /// A metric is declared twice.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Two ways to the same API server.
pub(super) struct Clients {
    /// With the gateway's credentials.
    pub(super) own: Client,
    /// With none, for requests that bring a user's token.
    pub(super) bare: Client,
}

/// Makes the clients: by the kubeconfig, or else by the pod's service account, whose token and authority `kube` reads again when they
/// change.
pub(super) async fn clients(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    timeout: Duration,
) -> Result<Clients, Error> {
    let mut config = match (kubeconfig, context) {
        (Some(path), context) => from_file(path, context)
            .await
            .map_err(|source| Error::Kubeconfig { path: path.to_owned(), source: Box::new(source) })?,
        (None, Some(_)) => return Err(Error::ContextWithoutFile),
        (None, None) => Config::incluster().map_err(|error| Error::NotInCluster(Box::new(error)))?,
    };
    guard(&config)?;
    config.connect_timeout = Some(timeout);
    // A question has one try within its time. Who asked will ask again.
    config.default_retry = false;
    // Tokens go straight to the API server; the environment's proxy is for others.
    config.proxy_url = None;
    let mut bare = config.clone();
    bare.auth_info = AuthInfo::default();
    bare.headers = Vec::new();
    Ok(Clients { own: client(config)?, bare: client(bare)? })
}

async fn from_file(path: &Path, context: Option<&str>) -> Result<Config, KubeconfigError> {
    let options =
        KubeConfigOptions { context: context.map(ToOwned::to_owned), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await
}

fn guard(config: &Config) -> Result<(), Error> {
    let host = config.cluster_url.host().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if config.accept_invalid_certs {
        Err(Error::Unverified)
    } else if config.cluster_url.scheme_str() != Some("https") && !loopback {
        Err(Error::InClear(config.cluster_url.to_string()))
    } else {
        Ok(())
    }
}

fn client(config: Config) -> Result<Client, Error> {
    Client::try_from(config).map_err(|error| Error::Client(Box::new(error)))
}
