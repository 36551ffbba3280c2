//! TLS on the data plane: a handshake by a client that checks the certificate, and the version of
//! HTTP that ALPN agrees on.
//!
//! `fixtures/gate.crt` is a certificate of its own for `localhost`, good until 2126; its key signs
//! nothing else.

use crate::setup::{CHAT, Setup, chat, scratch, start_with};
use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::server::{Server, StartError};
use portcullis_config::Tls;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn tls() -> Tls {
    Tls {
        cert: fixture("gate.crt"),
        key: fixture("gate.key"),
    }
}

async fn start() -> Setup {
    start_with(|config| config.tls = Some(tls())).await
}

/// Shakes hands as a client that trusts the gate's certificate and offers these protocols.
async fn connect(setup: &Setup, offered: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(fixture("gate.crt")).unwrap();
    roots.add(certificate).unwrap();
    let mut client = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = offered
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let stream = TcpStream::connect(setup.gate).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await
}

fn agreed(stream: &TlsStream<TcpStream>) -> Option<&[u8]> {
    stream.get_ref().1.alpn_protocol()
}

async fn ask_over_h1(mut stream: TlsStream<TcpStream>, text: &str) -> String {
    let body = chat("m", text).to_string();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    String::from_utf8(reply).unwrap()
}

#[tokio::test]
async fn http_1_1_is_spoken_over_tls() {
    let setup = start().await;
    for offered in [&["http/1.1"][..], &[]] {
        let stream = connect(&setup, offered).await.unwrap();
        assert_eq!(agreed(&stream), offered.first().map(|name| name.as_bytes()));
        let reply = ask_over_h1(stream, "how are you?").await;
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    }
    let stream = connect(&setup, &["http/1.1"]).await.unwrap();
    let refused = ask_over_h1(stream, "murder").await;
    assert!(refused.contains("content_filter"), "{refused}");
    assert_eq!(setup.upstream.requests().await.len(), 2);
}

#[tokio::test]
async fn http_2_is_agreed_on_where_the_client_offers_it() {
    let setup = start().await;
    let stream = connect(&setup, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(agreed(&stream), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    for (text, says) in [("how are you?", "\"stop\""), ("murder", "content_filter")] {
        let request = Request::post(format!("https://localhost{CHAT}"))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(chat("m", text).to_string())))
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(
            (answer.status(), answer.version()),
            (StatusCode::OK, Version::HTTP_2)
        );
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(says), "{body:?}");
    }
    drop(sender);
    connection.await.unwrap().unwrap();
    assert_eq!(setup.upstream.requests().await.len(), 1);
}

#[tokio::test]
async fn what_is_no_handshake_gets_nowhere_and_harms_nobody() {
    let setup = start().await;
    for bytes in [
        &b"POST /v1/chat/completions HTTP/1.1\r\nhost: gate\r\n\r\n"[..],
        b"\x16\x03\x01\x00\x05hello",
        b"",
    ] {
        let mut stream = TcpStream::connect(setup.gate).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut reply = Vec::new();
        // The gate may cut such a connection.
        drop(stream.read_to_end(&mut reply).await);
        assert!(!reply.starts_with(b"HTTP"), "{reply:?}");
    }
    let refused = connect(&setup, &["spdy/3"]).await;
    assert!(refused.is_err(), "no protocol in common");
    let stream = connect(&setup, &["http/1.1"]).await.unwrap();
    let reply = ask_over_h1(stream, "how are you?").await;
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named() {
    let broken = scratch("broken.pem");
    std::fs::write(&broken, "no certificate").unwrap();
    let missing = fixture("missing.pem");
    for (cert, key, named) in [
        (missing.clone(), fixture("gate.key"), "cert"),
        (broken.clone(), fixture("gate.key"), "cert"),
        (fixture("gate.crt"), missing, "key"),
        (fixture("gate.crt"), broken, "key"),
    ] {
        let mut config = crate::setup::config();
        config.tls = Some(Tls { cert, key });
        match Server::bind(&config) {
            Err(StartError::Tls { key, .. }) => assert_eq!(key, named),
            other => panic!("{named}: {other:?}"),
        }
    }
}
