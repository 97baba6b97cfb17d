//! The unit u: CPU per received packet of plain `sendto` and `recv`, 1400 B, one sender, 7 receivers, each in
//! a namespace of its own.

use super::cpu;
use super::netns::Network;
use anyhow::{Context, Result, ensure};
use std::io::Read;
use std::net::UdpSocket;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const RECEIVERS: usize = 7;
const PACKET_BYTES: usize = 1400;
const PORT: u16 = 9000;

/// How long to send.
#[derive(clap::Args)]
pub struct Arguments {
    /// Seconds of sending.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { seconds: 2 }
    }
}

/// One process of the measurement.
#[derive(clap::Args)]
pub struct End {
    /// Send rather than receive.
    #[arg(long)]
    send: bool,
    /// Seconds to run.
    #[arg(long)]
    seconds: u64,
}

/// Microseconds per received packet.
pub fn measure(arguments: &Arguments) -> Result<f64> {
    let network = Network::new(RECEIVERS + 1)?;
    let seconds = arguments.seconds;
    let receivers: Vec<Child> =
        (1..=RECEIVERS).map(|at| start(&network, at, seconds + 2, false)).collect::<Result<_>>()?;
    std::thread::sleep(Duration::from_millis(300));
    let sender = start(&network, 0, seconds, true)?;
    let (_, mut nanoseconds) = finish(sender)?;
    let mut packets = 0;
    for receiver in receivers {
        let (received, cpu) = finish(receiver)?;
        packets += received;
        nanoseconds += cpu;
    }
    ensure!(packets > 0, "no packet arrived");
    Ok(nanoseconds as f64 / packets as f64 / 1000.0)
}

fn start(network: &Network, at: usize, seconds: u64, send: bool) -> Result<Child> {
    let myself = std::env::current_exe()?;
    let mut command = network.command(at, &myself.to_string_lossy());
    command.args(["bench", "unit-end", "--seconds", &seconds.to_string()]);
    if send {
        command.arg("--send");
    }
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

/// Packets and CPU nanoseconds that one end printed.
fn finish(mut child: Child) -> Result<(u64, u64)> {
    let mut text = String::new();
    child.stdout.take().context("stdout is piped")?.read_to_string(&mut text)?;
    child.wait()?;
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let mut next = || numbers.next().context("an end of the measurement printed too little");
    Ok((next()??, next()??))
}

/// Runs one end; prints packets and CPU nanoseconds.
pub fn run_end(end: &End) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(end.seconds);
    let packets = if end.send { send(deadline)? } else { receive(deadline)? };
    println!("{packets} {}", cpu::nanoseconds(std::process::id())?);
    Ok(())
}

fn send(deadline: Instant) -> Result<u64> {
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    let targets: Vec<_> = (1..=RECEIVERS)
        .map(|at| format!("{}:{PORT}", Network::address(at)).parse())
        .collect::<Result<_, _>>()?;
    let packet = [0_u8; PACKET_BYTES];
    let mut sent = 0;
    while Instant::now() < deadline {
        for _ in 0..64 {
            for target in &targets {
                let target: &std::net::SocketAddr = target;
                // A full queue drops; only what arrives counts.
                sent += u64::from(socket.send_to(&packet, target).is_ok());
            }
        }
    }
    Ok(sent)
}

fn receive(deadline: Instant) -> Result<u64> {
    let socket = UdpSocket::bind(("0.0.0.0", PORT))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut packet = [0_u8; 2048];
    let mut received = 0;
    // Silence after the first packet is the end of the sender.
    while Instant::now() < deadline {
        match socket.recv(&mut packet) {
            Ok(_) => received += 1,
            Err(_) if received > 0 => break,
            Err(_) => {}
        }
    }
    Ok(received)
}
