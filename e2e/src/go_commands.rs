//! The Go commands: modules in `e2e/go`, pinned by their lock files, built once and kept outside the tree.

use crate::progress::Step;
use crate::run;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The version of Kubernetes in `e2e/go/kubernetes/go.mod`, which its commands report.
pub const KUBERNETES_VERSION: (u32, u32, u32) = (1, 34, 4);
/// Packages that report the version of Kubernetes.
const VERSION_PACKAGES: [&str; 2] =
    ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];

/// Nobody debugs these commands, and the linker leaves such information out: not writing it spares a sixth of the time.
const COMPILER_FLAGS: &str = "-gcflags=all=-dwarf=false";

/// What says which versions the modules of the workspace have in common: with all their lock files.
const WORKSPACE: [&str; 6] = [
    "go.work",
    "go.work.sum",
    "cert-manager/go.mod",
    "coredns/go.mod",
    "helm/go.mod",
    "helm-unittest/go.mod",
];

/// A Go module and its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// etcd, the API server's store.
    Etcd,
    /// The API server, controllers, scheduler, kubelet, proxy and kubectl.
    Kubernetes,
    /// Names of services and pods.
    CoreDns,
    /// Installs charts.
    Helm,
    /// Runs the charts' own tests.
    HelmUnittest,
    /// Issues certificates, and renews them.
    CertManager,
}

impl Module {
    fn folder(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Kubernetes => "kubernetes",
            Self::CoreDns => "coredns",
            Self::Helm => "helm",
            Self::HelmUnittest => "helm-unittest",
            Self::CertManager => "cert-manager",
        }
    }

    /// Each command's package and the name of its file.
    fn commands(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Etcd => &[("go.etcd.io/etcd/server/v3", "etcd")],
            Self::Kubernetes => &[
                ("k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver"),
                ("k8s.io/kubernetes/cmd/kube-controller-manager", "kube-controller-manager"),
                ("k8s.io/kubernetes/cmd/kube-scheduler", "kube-scheduler"),
                ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
                ("k8s.io/kubernetes/cmd/kube-proxy", "kube-proxy"),
                ("k8s.io/kubernetes/cmd/kubectl", "kubectl"),
            ],
            Self::CoreDns => &[("spread.dev/e2e/coredns", "coredns")],
            Self::Helm => &[("helm.sh/helm/v4/cmd/helm", "helm")],
            Self::HelmUnittest => {
                &[("github.com/helm-unittest/helm-unittest/cmd/helm-unittest", "helm-unittest")]
            }
            Self::CertManager => &[("spread.dev/e2e/cert-manager", "cert-manager")],
        }
    }

    /// Whether it has one list of versions with the others of `e2e/go/go.work`: what they have in common is compiled once.
    fn shares_versions(self) -> bool {
        !matches!(self, Self::Etcd | Self::Kubernetes)
    }

    /// Files of a module that are kept beside the commands: the module, and their folder in it.
    fn files(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::CertManager => Some(("github.com/cert-manager/cert-manager", "deploy/crds")),
            _ => None,
        }
    }

    /// Go files of ours that are compiled.
    fn own_sources(self) -> &'static [&'static str] {
        match self {
            Self::CertManager | Self::CoreDns => &["main.go"],
            _ => &[],
        }
    }

    fn linker_flags(self) -> String {
        let mut flags = "-s -w".to_owned();
        if self == Self::Kubernetes {
            let (major, minor, patch) = KUBERNETES_VERSION;
            for package in VERSION_PACKAGES {
                flags += &format!(
                    " -X {package}.gitVersion=v{major}.{minor}.{patch} -X {package}.gitMajor={major} -X \
                     {package}.gitMinor={minor} -X {package}.gitTreeState=clean"
                );
            }
        }
        flags
    }
}

/// Folder with a module's commands, built now if need be.
///
/// # Errors
/// Go is missing, a module can't be fetched, or it does not compile.
pub fn ensure(module: Module) -> Result<PathBuf> {
    let cache = cache()?;
    let folder = cache.join(format!("{}-{}", module.folder(), key(module)?));
    if folder.is_dir() {
        return Ok(folder);
    }
    ensure!(
        run::on_path("go"),
        "Go is missing: install it (a version from 1.26 on) to build {module:?}"
    );
    fs::create_dir_all(&cache).with_context(|| format!("{} can't be made", cache.display()))?;
    let lock = File::create(cache.join(format!("{}.lock", module.folder())))?;
    lock_exclusively(&lock, module)?;
    if !folder.is_dir() {
        build(module, &folder)?;
    }
    Ok(folder)
}

/// Whoever comes second waits and finds it built.
fn lock_exclusively(lock: &File, module: Module) -> Result<()> {
    use rustix::fs::{FlockOperation, flock};
    if flock(lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        let step = Step::start(format!("another process builds {}", module.folder()));
        flock(lock, FlockOperation::LockExclusive)?;
        step.done();
    }
    Ok(())
}

/// Whether nothing has to be built.
pub(crate) fn is_built(module: Module) -> bool {
    let folder =
        || Ok::<_, anyhow::Error>(cache()?.join(format!("{}-{}", module.folder(), key(module)?)));
    folder().is_ok_and(|folder| folder.is_dir())
}

/// The path of one command.
///
/// # Errors
/// As [`ensure`].
pub fn command(module: Module, name: &str) -> Result<PathBuf> {
    Ok(ensure(module)?.join(name))
}

/// Builds all commands into a folder that appears when all are there.
fn build(module: Module, folder: &Path) -> Result<()> {
    let step = Step::start(format!("building {} (once)", module.folder()));
    let partial = folder.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial)?;
    compile(module, &partial, &step)?;
    if let Some((name, files)) = module.files() {
        copy_files(module, name, files, &partial)?;
    }
    fs::rename(&partial, folder)?;
    step.done();
    Ok(())
}

/// All of a module's commands at once: one is linked while the next is compiled.
fn compile(module: Module, folder: &Path, step: &Step) -> Result<()> {
    let out = match module.commands() {
        // Go names a command after its package, and that may end in a version.
        [(_, name)] => folder.join(name),
        _ => folder.to_owned(),
    };
    let mut child = go(module)
        .args(["build", "-v", "-p", "2", "-trimpath", "-mod=readonly", COMPILER_FLAGS, "-ldflags"])
        .arg(module.linker_flags())
        .arg("-o")
        .arg(out)
        .args(module.commands().iter().map(|(package, _)| package))
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("`go build` could not be started")?;
    let (mut fetched, mut compiled) = (0, 0);
    let mut said: Vec<String> = Vec::new();
    if let Some(lines) = child.stderr.take() {
        for line in BufReader::new(lines).lines().map_while(Result::ok) {
            match line.starts_with("go: downloading") {
                true => fetched += 1,
                false => compiled += 1,
            }
            step.detail(format!("{fetched} modules fetched, {compiled} packages compiled"));
            said.push(line);
        }
    }
    let status = child.wait()?;
    let end = said[said.len().saturating_sub(12)..].join("\n");
    ensure!(status.success(), "`go build` of {} ended with {status}:\n{end}", module.folder());
    Ok(())
}

/// Go, in a module's folder.
fn go(module: Module) -> Command {
    let mut go = Command::new("go");
    go.current_dir(sources(module));
    if !module.shares_versions() {
        go.env("GOWORK", "off");
    }
    go
}

/// Copies a folder's YAML files out of where Go keeps a module.
fn copy_files(module: Module, name: &str, files: &str, to: &Path) -> Result<()> {
    let mut go = go(module);
    go.args(["list", "-mod=readonly", "-m", "-f", "{{.Dir}}", name]);
    let from = PathBuf::from(run::output(&mut go)?.trim()).join(files);
    for entry in fs::read_dir(&from).with_context(|| format!("{} is not there", from.display()))? {
        let path = entry?.path();
        if let (Some(name), true) = (path.file_name(), path.extension() == Some("yaml".as_ref())) {
            fs::write(to.join(name), fs::read(&path)?)?;
        }
    }
    Ok(())
}

/// Hash of what decides about the binaries.
fn key(module: Module) -> Result<String> {
    let mut bytes = module.linker_flags().into_bytes();
    let own = ["go.mod", "go.sum"].iter().chain(module.own_sources());
    let mut files: Vec<PathBuf> = own.map(|file| sources(module).join(file)).collect();
    if module.shares_versions() {
        files.extend(WORKSPACE.map(|file| sources(module).join("..").join(file)));
    }
    for path in files {
        bytes.extend(fs::read(&path).with_context(|| format!("{} can't be read", path.display()))?);
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    Ok(digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

fn sources(module: Module) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("go").join(module.folder())
}

/// `${XDG_CACHE_HOME:-$HOME/.cache}/spread-e2e`.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(base) if !base.is_empty() => PathBuf::from(base),
        _ => PathBuf::from(
            std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?,
        )
        .join(".cache"),
    };
    Ok(base.join("spread-e2e"))
}
