//! Asks an admin endpoint.

use crate::status::Status;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(2);
/// Longest answer that is read, in bytes.
const ANSWER_BYTES: u64 = 16 << 20;

/// A daemon's status, or what is wrong and what to do about it.
pub(crate) async fn status(address: &str) -> Result<Status, String> {
    match timeout(ANSWER, ask(address)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!(
            "no answer within {ANSWER:?}: the daemon hangs, or a firewall drops what comes; try `curl http://{address}/healthz` on its machine"
        )),
    }
}

async fn ask(address: &str) -> Result<Status, String> {
    let unreachable = |error: std::io::Error| {
        format!(
            "{error}: is the daemon running, and does its spread.conf say AdminEndpoint = \"{address}\"?"
        )
    };
    let no_endpoint = || {
        "this is no admin endpoint: AdminEndpoint in spread.conf names it; clients' ports are others"
            .to_owned()
    };
    let mut stream = TcpStream::connect(address).await.map_err(unreachable)?;
    let request = format!("GET /status HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(unreachable)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await.map_err(|_| no_endpoint())?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(no_endpoint)?;
    if head.split(' ').nth(1) != Some("200") {
        return Err(no_endpoint());
    }
    match serde_json::from_str::<Status>(body) {
        Ok(status) if !status.name.is_empty() => Ok(status),
        _ => Err(no_endpoint()),
    }
}
