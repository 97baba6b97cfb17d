//! A way into a cluster's network from outside: connections to a port on loopback go on in the cluster's hub.

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::Path;

/// Serves until the process is ended. Listens in the network of the caller, connects in the namespace's.
///
/// # Errors
/// The port is taken, or the namespace is not there.
pub fn serve(port: u16, namespace: &Path, target: &str) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .with_context(|| format!("127.0.0.1:{port} can't be bound"))?;
    let file =
        File::open(namespace).with_context(|| format!("{} is not there", namespace.display()))?;
    // A socket stays in the network it was made in; this thread and those it starts make theirs in the hub.
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .with_context(|| format!("{} can't be entered", namespace.display()))?;
    for outside in listener.incoming().flatten() {
        let target = target.to_owned();
        std::thread::spawn(move || {
            // A target that is down closes the connection, which is what its client should see.
            if let Ok(inside) = TcpStream::connect(&target) {
                pass(&outside, &inside);
            }
        });
    }
    Ok(())
}

/// Both directions, until both have ended.
fn pass(outside: &TcpStream, inside: &TcpStream) {
    let _ = (outside.set_nodelay(true), inside.set_nodelay(true));
    std::thread::scope(|scope| {
        scope.spawn(|| one_way(outside, inside));
        one_way(inside, outside);
    });
}

fn one_way(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
