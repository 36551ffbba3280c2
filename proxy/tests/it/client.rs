//! A small HTTP/1.1 client: plain requests, and raw bytes where a test must break the rules.

use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended as its framing says.
    pub(crate) whole: bool,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

pub(crate) fn post(path: &str, body: &[u8], headers: &[(&str, &str)]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: gate\r\ncontent-length: {}\r\n",
        body.len()
    );
    let has_type = headers.iter().any(|(name, _)| *name == "content-type");
    if !has_type {
        request += "content-type: application/json\r\n";
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += "\r\n";
    [request.as_bytes(), body].concat()
}

pub(crate) fn get(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: gate\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    (request + "\r\n").into_bytes()
}

/// Sends raw bytes on a new connection and reads one reply.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(request).await;
    read_reply(&mut stream).await
}

pub(crate) async fn read_reply(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        let mut piece = [0; 4096];
        let read = stream
            .read(&mut piece)
            .await
            .expect("the gate closed without a reply");
        assert!(
            read > 0,
            "the gate closed without a reply: {}",
            String::from_utf8_lossy(&bytes)
        );
        bytes.extend_from_slice(&piece[..read]);
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let status = head[9..12].parse().unwrap();
    let mut reply = Reply {
        status,
        head,
        body: Vec::new(),
        whole: false,
    };
    let rest = bytes.split_off(head_end);
    if matches!(status, 100..200 | 204 | 304) {
        reply.whole = true;
        return reply;
    }
    if let Some(length) = reply.header("content-length") {
        let length: usize = length.parse().unwrap();
        reply.body = rest;
        while reply.body.len() < length {
            let mut piece = vec![0; 65536];
            match stream.read(&mut piece).await {
                Ok(read) if read > 0 => reply.body.extend_from_slice(&piece[..read]),
                _ => return reply,
            }
        }
        reply.whole = true;
        return reply;
    }
    read_chunked(stream, rest, &mut reply).await;
    reply
}

async fn read_chunked(stream: &mut TcpStream, mut raw: Vec<u8>, reply: &mut Reply) {
    loop {
        while let Some((data, used)) = next_chunk(&raw) {
            raw.drain(..used);
            if data.is_empty() {
                reply.whole = true;
                return;
            }
            reply.body.extend_from_slice(&data);
        }
        let mut piece = vec![0; 65536];
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => raw.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
}

fn next_chunk(raw: &[u8]) -> Option<(Vec<u8>, usize)> {
    let line_end = raw.windows(2).position(|two| two == b"\r\n")?;
    let length = usize::from_str_radix(std::str::from_utf8(&raw[..line_end]).unwrap(), 16).unwrap();
    let end = line_end + 2 + length + 2;
    (raw.len() >= end).then(|| (raw[line_end + 2..line_end + 2 + length].to_vec(), end))
}

/// Reads from an open stream until `wanted` has been seen, and gives everything read.
pub(crate) async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    while !text.contains(wanted) {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        assert!(read > 0, "the connection ended before `{wanted}`: {text}");
        text += &String::from_utf8_lossy(&piece[..read]);
    }
    text
}
