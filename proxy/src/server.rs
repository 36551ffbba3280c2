//! Listening, TLS, one task per connection, and the graceful end.

use crate::admin::Admin;
use crate::body::ResponseBody;
use crate::connection::{Handle, Http};
use crate::gate::Gate;
use http::{Request, Response};
use hyper::body::Incoming;
use portcullis_config::{Limits, Timeouts, Tls};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that may wait for `accept`.
const BACKLOG: u32 = 4096;

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is taken, or may not be used.
    #[error("cannot listen on {address} (`{key}`)")]
    Listen {
        /// The configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("`tls.{key}`: {message}")]
    Tls {
        /// The configuration key.
        key: &'static str,
        /// What is wrong with it.
        message: String,
    },
}

/// Both listeners, bound and not yet served.
pub struct Server {
    data: TcpListener,
    admin: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    timeouts: Timeouts,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Binds both planes of a configuration.
    ///
    /// # Errors
    /// [`StartError`] when a port is taken or the certificate cannot be used.
    pub fn bind(config: &portcullis_config::Config) -> Result<Self, StartError> {
        Ok(Self {
            tls: config.tls.as_ref().map(acceptor).transpose()?,
            data: listen("listen", config.listen)?,
            admin: listen("admin", config.admin)?,
            limits: config.limits,
            timeouts: config.timeouts,
        })
    }

    /// Where the data plane really listens (port 0 is resolved).
    ///
    /// # Errors
    /// When the system does not say.
    pub fn data_address(&self) -> io::Result<SocketAddr> {
        self.data.local_addr()
    }

    /// Where the admin plane really listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn admin_address(&self) -> io::Result<SocketAddr> {
        self.admin.local_addr()
    }

    /// Serves until `shutdown` is done, then lets exchanges in flight end for at most the
    /// configured drain time. Every connection task has ended when this returns.
    pub async fn serve(self, gate: Arc<Gate>, shutdown: impl Future<Output = ()> + Send) {
        let ending = CancellationToken::new();
        let tasks = TaskTracker::new();
        let admin = Admin::new(Arc::clone(&gate));
        let http = Arc::new(Http::new(&self.limits, &self.timeouts));
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = self.data.accept() => {
                    let Some(stream) = admit(accepted).await else { continue };
                    let (http, ending) = (Arc::clone(&http), ending.child_token());
                    let handler = Handler(Arc::clone(&gate));
                    match self.tls.clone() {
                        None => tasks.spawn(http.talk(stream, handler, ending)),
                        Some(tls) => {
                            let within = self.timeouts.read;
                            tasks.spawn(talk_tls(http, tls, stream, handler, ending, within))
                        }
                    };
                }
                accepted = self.admin.accept() => {
                    let Some(stream) = admit(accepted).await else { continue };
                    tasks.spawn(Arc::clone(&http).talk(stream, admin.clone(), ending.child_token()));
                }
            }
        }
        drop((self.data, self.admin));
        gate.begin_drain();
        ending.cancel();
        drain(&tasks, self.timeouts.drain).await;
    }
}

async fn drain(tasks: &TaskTracker, within: Duration) {
    tasks.close();
    if tokio::time::timeout(within, tasks.wait()).await.is_err() {
        tracing::warn!(
            unfinished = tasks.len(),
            "drain time is over; exchanges are cut"
        );
    }
}

/// The stream, with Nagle's delay off. A failed accept (no file handles left) backs off a moment.
async fn admit(accepted: io::Result<(TcpStream, SocketAddr)>) -> Option<TcpStream> {
    match accepted {
        Ok((stream, _)) => {
            drop(stream.set_nodelay(true));
            Some(stream)
        }
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(10)).await;
            None
        }
    }
}

async fn talk_tls(
    http: Arc<Http>,
    tls: TlsAcceptor,
    stream: TcpStream,
    handler: Handler,
    ending: CancellationToken,
    within: Duration,
) {
    match tokio::time::timeout(within, tls.accept(stream)).await {
        Ok(Ok(stream)) => http.talk(stream, handler, ending).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// The data plane.
#[derive(Clone, Debug)]
struct Handler(Arc<Gate>);

impl Handle for Handler {
    fn handle(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<ResponseBody>> + Send {
        Arc::clone(&self.0).handle(request)
    }
}

fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let bind = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        // A port that is merely resting may be taken again; one that is listened on may not.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bind().map_err(|source| StartError::Listen {
        key,
        address,
        source,
    })
}

fn acceptor(tls: &Tls) -> Result<TlsAcceptor, StartError> {
    let fault = |key, message: String| StartError::Tls { key, message };
    let shown = |path: &std::path::Path, error: &dyn std::fmt::Display| {
        format!("{}: {error}", path.display())
    };
    let chain = CertificateDer::pem_file_iter(&tls.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault("cert", shown(&tls.cert, &error)))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key)
        .map_err(|error| fault("key", shown(&tls.key, &error)))?;
    let mut server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| fault("cert", shown(&tls.cert, &error)))?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(server)))
}
