//! A client library that others wrote: the npm package `spread` talks through a real daemon.

use crate::steps::{check, root};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends a run that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is missing on this machine, and what to install.
pub fn missing() -> Option<String> {
    let absent = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        !output.is_ok_and(|output| output.status.success())
    };
    let absent: Vec<&str> = ["node", "npm"].into_iter().filter(|name| absent(name)).collect();
    (!absent.is_empty()).then(|| {
        format!("{} not found: install Node.js 20 or later with npm", absent.join(" and "))
    })
}

/// Installs the package, starts a daemon, and has two sessions of the package talk through it.
pub fn run() -> Result<()> {
    let built = std::env::current_exe()?;
    let built = built.parent().context("the program has a folder")?;
    let cache = built.with_file_name("npm-client");
    install(&cache)?;
    let daemon = Daemon::start(&built.join("spreadd"), &cache)?;
    let mut script = Command::new("node");
    script.arg("--no-deprecation").arg("roundtrip.js").current_dir(&cache);
    check(script.args([&daemon.port.to_string(), "127.0.0.1"])).with_context(|| daemon.log())?;
    // The package can't disconnect; the end of its process has to end its sessions.
    daemon.wait("its sessions are gone", |daemon| {
        let status = daemon.get("/status").unwrap_or_default();
        status.contains("\"sessions\":[]") && status.contains("\"groups\":0")
    })?;
    let status = daemon.get("/status").unwrap_or_default();
    for counted in ["\"sessions_accepted\":2", "\"sessions_malformed\":0", "\"sessions_slow\":0"] {
        ensure!(status.contains(counted), "{counted} is not in {status}");
    }
    Ok(())
}

/// `npm ci` in a folder beside the build, unless it has what the lock file says.
fn install(cache: &Path) -> Result<()> {
    let source = root().join("examples/clients/javascript");
    fs::create_dir_all(cache)?;
    let lock = fs::read(source.join("package-lock.json"))?;
    let installed = cache.join("node_modules/spread/package.json").exists()
        && fs::read(cache.join("package-lock.json")).is_ok_and(|cached| cached == lock);
    for file in ["package.json", "package-lock.json", "roundtrip.js"] {
        fs::copy(source.join(file), cache.join(file)).with_context(|| file.to_owned())?;
    }
    if installed {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(cache);
    check(&mut npm).context("the package `spread` could not be installed from the npm registry")
}

/// A daemon alone in its ring; killed when dropped.
struct Daemon {
    child: Child,
    folder: PathBuf,
    port: u16,
    admin: u16,
}

impl Daemon {
    fn start(program: &Path, folder: &Path) -> Result<Self> {
        let (port, admin) = (free_port()?, free_port()?);
        let text = format!(
            "DaemonPorts = on\nRingEncryption = off\nAdminEndpoint = \"127.0.0.1:{admin}\"\nUnixSocketDirectory = \"{}\"\n\
             Spread_Segment 127.0.0.1:{port} {{ d0 127.0.0.1:{port} }}\n",
            folder.display()
        );
        let file = folder.join("spread.conf");
        fs::write(&file, text)?;
        let log = fs::File::create(folder.join("spreadd.log"))?;
        let child = Command::new(program)
            .arg("-c")
            .arg(file)
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .stdout(log)
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let daemon = Self { child, folder: folder.to_owned(), port, admin };
        daemon
            .wait("it is ready", |daemon| daemon.get("/readyz").is_some_and(|it| it == "ok\n"))?;
        Ok(daemon)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("spreadd.log")).unwrap_or_default()
    }

    fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            if Instant::now() > deadline {
                bail!("never: {what}; the daemon's log:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The body of an answer of its admin endpoint.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(self.folder.join(self.port.to_string()));
    }
}

/// A port that is free for TCP and UDP.
fn free_port() -> Result<u16> {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
}
