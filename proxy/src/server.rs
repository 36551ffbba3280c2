//! Listening, TLS, one task per connection, and the graceful end.

use crate::admin::Admin;
use crate::body::ResponseBody;
use crate::gate::Gate;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use portcullis_config::{Limits, Timeouts, Tls};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
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
        let graceful = GracefulShutdown::new();
        let tasks = TaskTracker::new();
        let admin = Admin::new(Arc::clone(&gate));
        let http = connection_builder(&self.limits, &self.timeouts);
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = self.data.accept() => {
                    let Some(stream) = admit(accepted).await else { continue };
                    let handler = Handler(Arc::clone(&gate));
                    let (http, watcher) = (http.clone(), graceful.watcher());
                    match self.tls.clone() {
                        None => tasks.spawn(talk(http, watcher, TokioIo::new(stream), handler, self.timeouts.read)),
                        Some(tls) => {
                            let within = self.timeouts.read;
                            tasks.spawn(talk_tls(http, watcher, tls, stream, handler, within))
                        }
                    };
                }
                accepted = self.admin.accept() => {
                    let Some(stream) = admit(accepted).await else { continue };
                    let (http, watcher) = (http.clone(), graceful.watcher());
                    tasks.spawn(talk(http, watcher, TokioIo::new(stream), admin.clone(), self.timeouts.read));
                }
            }
        }
        drop((self.data, self.admin));
        gate.begin_drain();
        drain(graceful, &tasks, self.timeouts.drain).await;
    }
}

async fn drain(graceful: GracefulShutdown, tasks: &TaskTracker, within: Duration) {
    tasks.close();
    let ended = async {
        graceful.shutdown().await;
        tasks.wait().await;
    };
    if tokio::time::timeout(within, ended).await.is_err() {
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

type Builder = auto::Builder<TokioExecutor>;
type Watcher = hyper_util::server::graceful::Watcher;

fn connection_builder(limits: &Limits, timeouts: &Timeouts) -> Builder {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(timeouts.read)
        .max_buf_size(limits.header.max(8192))
        .half_close(false);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(256)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(64)
        .max_header_list_size(u32::try_from(limits.header).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    http
}

async fn talk<I, S>(http: Builder, watcher: Watcher, io: TokioIo<I>, service: S, within: Duration)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible> + Send,
    S::Future: Send + 'static,
{
    let asked = AtomicBool::new(false);
    let service = hyper::service::service_fn(|request| {
        asked.store(true, Ordering::Relaxed);
        service.call(request)
    });
    let connection = http.serve_connection(io, service);
    // Until the first request the HTTP library keeps no time: it waits to see which version it is.
    let mut patience = pin!(tokio::time::sleep(within));
    let silent = poll_fn(|context| match asked.load(Ordering::Relaxed) {
        true => Poll::Pending,
        false => patience.as_mut().poll(context),
    });
    tokio::select! {
        biased;
        ended = watcher.watch(connection) => {
            // What goes wrong on one connection is that client's affair.
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        }
        () = silent => tracing::debug!("a connection said nothing"),
    }
}

async fn talk_tls(
    http: Builder,
    watcher: Watcher,
    tls: TlsAcceptor,
    stream: TcpStream,
    handler: Handler,
    within: Duration,
) {
    match tokio::time::timeout(within, tls.accept(stream)).await {
        Ok(Ok(stream)) => talk(http, watcher, TokioIo::new(stream), handler, within).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// The data plane's service.
#[derive(Clone, Debug)]
struct Handler(Arc<Gate>);

impl Service<Request<Incoming>> for Handler {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let gate = Arc::clone(&self.0);
        Box::pin(async move { Ok(gate.handle(request).await) })
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
