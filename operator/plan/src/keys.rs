//! The ring's managed keys: made once, rotated on request, the old one dropped when nobody uses it.

use crate::facts::PodFact;

/// The keys of a ring's Secret and what they were made for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RingKeys {
    /// The file's text: lines of `ID SECRET`.
    pub text: String,
    /// The rotation request that was acted on last.
    pub handled_request: Option<String>,
}

/// What is to be written to the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStep {
    /// Nothing.
    Keep,
    /// These keys.
    Write(RingKeys),
}

/// The next step. `fresh` is a new secret in 64 hexadecimal digits, `daemons` the pods of the slots
/// that are to be filled.
pub fn key_step(
    held: Option<&RingKeys>,
    request: Option<&str>,
    fresh: &str,
    daemons: &[&PodFact],
    wanted: usize,
) -> KeyStep {
    let lines = held.map(|keys| parse(&keys.text)).unwrap_or_default();
    let Some(newest) = lines.iter().map(|(id, _)| *id).max() else {
        let handled_request = request.map(str::to_owned);
        return KeyStep::Write(RingKeys { text: format!("1 {fresh}\n"), handled_request });
    };
    let handled = held.and_then(|keys| keys.handled_request.clone());
    if lines.len() > 1 {
        let all_use_it = daemons.len() == wanted
            && daemons.iter().all(|pod| {
                !pod.terminating
                    && pod.report.as_ref().is_some_and(|report| report.key_id == newest)
            });
        return if all_use_it {
            let newest = lines.iter().filter(|(id, _)| *id == newest);
            KeyStep::Write(RingKeys { text: render(newest), handled_request: handled })
        } else {
            KeyStep::Keep
        };
    }
    match request {
        Some(request) if handled.as_deref() != Some(request) => {
            let next = (newest + 1, fresh.to_owned());
            let text = render(lines.iter().chain([&next]));
            KeyStep::Write(RingKeys { text, handled_request: Some(request.to_owned()) })
        }
        _ => KeyStep::Keep,
    }
}

/// Lines that are keys; a Secret that somebody spoilt has none.
fn parse(text: &str) -> Vec<(u32, String)> {
    text.lines()
        .filter_map(|line| {
            let (id, secret) = line.trim().split_once(' ')?;
            let id = id.parse().ok().filter(|id| *id > 0)?;
            let digits = secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
            digits.then(|| (id, secret.to_owned()))
        })
        .collect()
}

fn render<'a>(lines: impl Iterator<Item = &'a (u32, String)>) -> String {
    lines.map(|(id, secret)| format!("{id} {secret}\n")).collect()
}

/// Ids in a key file's text.
pub fn key_ids(text: &str) -> Vec<u32> {
    parse(text).into_iter().map(|(id, _)| id).collect()
}
