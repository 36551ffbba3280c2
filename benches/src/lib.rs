//! What the benchmarks are made of: a mock upstream, a bare pass-through proxy as the baseline, a
//! load generator, and processes pinned to cores.
//!
//! A figure of a proxy says little by itself; held against a bare hyper reverse proxy in the same
//! run it says what the gate costs. `src/bin/gate.rs` is that comparison, and
//! `benches/results/README.md` says how to read it. Everything runs on loopback, in plain HTTP/1.

pub mod load;
pub mod mock;
pub mod passthrough;
pub mod process;
pub mod samples;
pub mod words;

/// Why a benchmark could not be run; only shown to a person.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Nanoseconds of the wall clock, which two processes of one machine share.
#[must_use]
pub fn wall_ns() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| {
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// A single-threaded worker runtime: one core is what a row is given.
///
/// # Errors
/// When the runtime cannot be built.
pub fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?)
}

/// A listener for `address`; small writes leave at once on what it accepts.
///
/// # Errors
/// When the address cannot be bound.
pub fn listen(address: &str) -> Result<tokio::net::TcpListener, Error> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.parse()?)?;
    Ok(socket.listen(4096)?)
}
