//! What takes long says so: one line at the end of a step, and in between on a terminal.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a terminal's line is drawn anew.
const TERMINAL: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LOG: Duration = Duration::from_secs(20);

/// A step under way. Dropped without [`Step::done`] it counts as failed.
pub struct Step {
    what: String,
    start: Instant,
    detail: Arc<Mutex<String>>,
    end: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Step {
    /// Begins a step.
    pub fn start(what: impl Into<String>) -> Self {
        let (what, start, detail) = (what.into(), Instant::now(), Arc::<Mutex<String>>::default());
        let (end, ended) = channel();
        let (shown, text) = (what.clone(), Arc::clone(&detail));
        let ticker = std::thread::spawn(move || {
            let terminal = stderr().is_terminal();
            let interval = if terminal { TERMINAL } else { LOG };
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let detail = text.lock().map(|text| text.clone()).unwrap_or_default();
                let seconds = start.elapsed().as_secs();
                if terminal {
                    eprint!("\r\x1b[K    {shown} … {seconds} s {detail}");
                    let _ = stderr().flush();
                } else {
                    eprintln!("    {shown} … {seconds} s {detail}");
                }
            }
            if terminal {
                eprint!("\r\x1b[K");
            }
        });
        Self { what, start, detail, end: Some((end, ticker)) }
    }

    /// What is shown behind the step's name while it runs.
    pub fn detail(&self, text: String) {
        if let Ok(mut detail) = self.detail.lock() {
            *detail = text;
        }
    }

    /// Ends the step well.
    pub fn done(mut self) {
        self.stop();
        eprintln!("  ✓ {} ({:.1} s)", self.what, self.start.elapsed().as_secs_f64());
    }

    /// Ends the step without a word.
    pub fn quiet(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        if let Some((end, ticker)) = self.end.take() {
            drop(end);
            let _ = ticker.join();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if self.end.is_some() {
            self.stop();
            eprintln!("  ✗ {} ({:.1} s)", self.what, self.start.elapsed().as_secs_f64());
        }
    }
}
