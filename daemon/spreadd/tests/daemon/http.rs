//! Requests to the admin endpoint.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// An answer.
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// `None`: nobody listens there.
pub(crate) fn get(address: &str, path: &str) -> Option<Answer> {
    request(address, "GET", path, "")
}

pub(crate) fn request(address: &str, method: &str, path: &str, body: &str) -> Option<Answer> {
    let mut stream = connect(address)?;
    exchange(&mut stream, address, method, path, body)
}

pub(crate) fn connect(address: &str) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    Some(stream)
}

/// A request and its answer over any stream.
pub(crate) fn exchange(
    stream: &mut (impl Read + Write),
    address: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Option<Answer> {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    stream.flush().ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { code, head: head.to_owned(), body: body.to_owned() })
}
