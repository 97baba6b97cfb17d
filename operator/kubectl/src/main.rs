//! The program: reads arguments, fetches, prints.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand};
use kubectl_spread::{Fetcher, Style, Verdict, bundle, check, import, screen, write_tar};
use spread_conf::{Diagnostic, Severity};
use std::fs::{self, File};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Exit code of `scale --check` where the ring that runs is not enough.
const NOT_ENOUGH: u8 = 2;

/// Look at SpreadClusters.
#[derive(Debug, Parser)]
#[command(name = "kubectl-spread", bin_name = "kubectl spread", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  kubectl spread status orders                       one screen: rings, slots, members, conditions, events
  kubectl spread scale orders --replicas 9 --check   says whether that needs a new ring
  kubectl spread import spread.conf --name orders    a manifest for a site of the original
  kubectl spread report orders                       a bundle for a bug report, without secrets
Nothing is changed by any of these; what is shown is what your own rights show.";

#[derive(Debug, Subcommand)]
enum Command {
    /// One screen: rings, slots, members, conditions, last events.
    Status {
        /// Name of the SpreadCluster.
        name: String,
        #[command(flatten)]
        target: Target,
    },
    /// Say whether another number of daemons needs a new ring.
    #[command(
        after_help = "Example:\n  kubectl spread scale orders --replicas 9 --check\n\nEnds with 0 where the ring that runs is enough, with 2 where it is not. `kubectl scale` scales."
    )]
    Scale {
        /// Name of the SpreadCluster.
        name: String,
        /// Daemons wanted.
        #[arg(long, value_name = "N")]
        replicas: u32,
        /// Only say what would happen. Required: `kubectl scale` is what scales.
        #[arg(long, required = true)]
        check: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Print a manifest for the site that a spread.conf describes.
    #[command(
        after_help = "Example:\n  kubectl spread import /etc/spread.conf --name orders > orders.yaml\n\nWhat the file says and a manifest does not is told in comments at its head."
    )]
    Import {
        /// The original's configuration file.
        file: PathBuf,
        /// Name of the SpreadCluster.
        #[arg(long, default_value = "spread")]
        name: String,
    },
    /// Write a bundle for a bug report: objects, events and logs, without secrets.
    #[command(
        after_help = "Example:\n  kubectl spread report orders -o orders.tar\n\nValues of Secrets are not asked for. Look through the files before you publish them."
    )]
    Report {
        /// Name of the SpreadCluster.
        name: String,
        /// The file; NAME-report.tar if it is left out.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
}

/// Which API server and namespace.
#[derive(Debug, Args)]
struct Target {
    /// Namespace; the context's if it is left out.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Context of the kubeconfig.
    #[arg(long)]
    context: Option<String>,
}

impl Target {
    async fn fetcher(&self) -> Result<Fetcher> {
        Fetcher::new(self.context.as_deref(), self.namespace.as_deref()).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("kubectl-spread: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Status { name, target } => {
            let facts = target.fetcher().await?.facts(&name).await?;
            let coloured = std::io::stdout().is_terminal();
            print!("{}", screen(&facts, if coloured { Style::Coloured } else { Style::Plain }));
        }
        Command::Scale { name, replicas, target, .. } => {
            let verdict: Verdict = check(&target.fetcher().await?.cluster(&name).await?, replicas);
            println!("{verdict}");
            if !verdict.fits() {
                return Ok(ExitCode::from(NOT_ENOUGH));
            }
        }
        Command::Import { file, name } => print_manifest(&file, &name)?,
        Command::Report { name, output, target } => {
            let output = output.unwrap_or_else(|| PathBuf::from(format!("{name}-report.tar")));
            report(&name, &output, &target.fetcher().await?).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_manifest(file: &Path, name: &str) -> Result<()> {
    let text =
        fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?;
    match import(&text, name) {
        Ok(imported) => {
            show(file, &text, &imported.warnings);
            let broken = spread_operator_api::validate(&imported.cluster);
            let lines: Vec<String> = broken.iter().map(ToString::to_string).collect();
            anyhow::ensure!(
                lines.is_empty(),
                "the manifest would be refused: {}",
                lines.join("; ")
            );
            print!("{}", imported.manifest()?);
            Ok(())
        }
        Err(found) => {
            show(file, &text, &found);
            bail!("{} can't be imported: its mistakes are shown above", file.display())
        }
    }
}

/// Draws findings as the daemon does.
fn show(file: &Path, text: &str, found: &[Diagnostic]) {
    let renderer =
        if std::io::stderr().is_terminal() { Renderer::styled() } else { Renderer::plain() };
    let path = file.display().to_string();
    for finding in found {
        let level = if finding.severity == Severity::Error { Level::ERROR } else { Level::WARNING };
        let title = level.primary_title(finding.message.as_str());
        let help = Level::HELP.message(finding.help.as_str());
        let report: Group<'_> = if finding.span.is_empty() {
            title.element(help)
        } else {
            let snippet = Snippet::source(text).path(path.as_str());
            let snippet = snippet.annotation(AnnotationKind::Primary.span(finding.span.clone()));
            title.element(snippet).element(help)
        };
        eprintln!("{}", renderer.render(&[report]));
    }
}

async fn report(name: &str, output: &Path, fetcher: &Fetcher) -> Result<()> {
    eprintln!("asking for the objects of {name}");
    let facts = fetcher.facts(name).await?;
    let mut missing = Vec::new();
    let objects = fetcher.objects(name, &mut missing).await;
    let mut logs = Vec::new();
    for (index, pod) in facts.pods.iter().enumerate() {
        eprintln!("asking for the log of pod {} of {}", index + 1, facts.pods.len());
        logs.extend(fetcher.logs(pod, &mut missing).await);
    }
    let files = bundle(&facts, &objects, &logs, &missing)?;
    let file = File::create_new(output)
        .with_context(|| format!("{} can't be made: choose another with -o", output.display()))?;
    write_tar(&format!("{name}-report"), &files, file)?;
    for sentence in facts.missing.iter().chain(&missing) {
        eprintln!("missing: {sentence}");
    }
    println!(
        "{}: {} files; look through them before you publish them",
        output.display(),
        files.len()
    );
    Ok(())
}
