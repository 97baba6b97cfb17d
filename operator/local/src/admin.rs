//! What a daemon says of itself at its admin endpoint.

use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for an answer on this machine.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(200);

/// Longest answer that is read, in bytes.
const ANSWER_MAX_BYTES: u64 = 1 << 20;

/// Names of the daemons in the daemon's configuration; none while it does not answer.
pub async fn members(port: u16) -> Option<Vec<String>> {
    let answer = timeout(ANSWER_TIMEOUT, status(port)).await.ok()??;
    let members = answer.get("members")?.as_array()?;
    members.iter().map(member_name).collect()
}

/// A member is its name, or an object that has it.
fn member_name(member: &Value) -> Option<String> {
    let name = member.get("name").unwrap_or(member);
    name.as_str().map(str::to_owned)
}

async fn status(port: u16) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = "GET /status HTTP/1.0\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX_BYTES).read_to_end(&mut answer).await.ok()?;
    let text = String::from_utf8(answer).ok()?;
    let (_, body) = text.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}
