//! Goes through the steps of a transcript in order.

use super::client::Client;
use super::daemons::{Daemons, Family};
use super::vector::{Vector, bytes, id_offset, masked, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After a close names need a moment to become free.
const AFTER_CLOSE: Duration = Duration::from_millis(60);
/// Between two requests in a row where the recording had a pause.
const PAUSE: Duration = Duration::from_millis(100);

/// For so long after a partition its sides are not merged with again (`SHUN` of the ring, and a margin).
const AFTER_PARTITION: Duration = Duration::from_millis(800);

/// Replays until it comes out as recorded, so often at most.
pub(crate) fn tries(name: &str, most: u32) {
    let mut errors = Vec::new();
    for _ in 0..most {
        match replay(name, Family::V4) {
            Ok(()) => return,
            Err(error) => errors.push(error),
        }
    }
    panic!("{name} never came out as recorded:\n{}", errors.join("\n"));
}

/// Replays a transcript once.
pub(crate) fn replay(name: &str, family: Family) -> Result<(), String> {
    let vector = Vector::load(name);
    let mut replay = Replay {
        daemons: Daemons::start(&vector, family),
        clients: BTreeMap::new(),
        ids: BTreeMap::new(),
        names: BTreeMap::new(),
        closed: BTreeSet::new(),
        pauses: name.starts_with("49"),
        driver: (name.starts_with("49") || name.starts_with("52")).then_some("d2"),
        driving: None,
        back_to_back: name.starts_with("52"),
        held: false,
        unsent: Vec::new(),
        vector,
    };
    let steps: Vec<Value> = replay.vector.steps().to_vec();
    for (index, step) in steps.iter().enumerate() {
        let before = index.checked_sub(1).map(|index| &steps[index]);
        replay.held = replay.back_to_back
            && steps.get(index + 1).is_some_and(|next| {
                next["dir"] == "c2d"
                    && next["bytes"].is_string()
                    && next["client"] == step["client"]
            });
        replay.step(step, before).map_err(|error| {
            let shown: String = step.to_string().chars().take(400).collect();
            format!("step {index}: {error}\n  {shown}")
        })?;
    }
    Ok(())
}

struct Replay {
    vector: Vector,
    daemons: Daemons,
    clients: BTreeMap<u64, Client>,
    /// Id of each labelled view.
    ids: BTreeMap<String, Vec<u8>>,
    /// Names that the daemon invented, by label.
    names: BTreeMap<String, Vec<u8>>,
    pauses: bool,
    /// Daemon that has to hold the token at the partition, so that its clients' messages still get onto the ring.
    driver: Option<&'static str>,
    driving: Option<Client>,
    /// The client wrote requests in a row at once.
    back_to_back: bool,
    /// The step's bytes go with the next one's.
    held: bool,
    unsent: Vec<u8>,
    /// Clients that closed their end.
    closed: BTreeSet<u64>,
}

impl Replay {
    fn step(&mut self, step: &Value, before: Option<&Value>) -> Result<(), String> {
        if let Some(event) = step["event"].as_str() {
            return self.event(event, step);
        }
        let client = step["client"].as_u64().ok_or("a step without client")?;
        if step["dir"] == "c2d" {
            if self.pauses && before.is_some_and(|before| before["dir"] == "c2d") {
                std::thread::sleep(PAUSE);
            }
            let bytes = self.filled(step, bytes(step));
            self.unsent.extend(bytes);
            if !self.held {
                let unsent = core::mem::take(&mut self.unsent);
                self.client(client).send(&unsent);
            }
            return Ok(());
        }
        if step["any_private_name"].is_string() {
            return self.invented(client, step);
        }
        let expected = self.filled(step, bytes(step));
        let got = self.client(client).receive(expected.len())?;
        compare(&expected, &got, &masked(step))?;
        self.check_id(step, &got)
    }

    fn client(&mut self, index: u64) -> &mut Client {
        let (daemon, unix) = self.vector.client(index);
        let daemons = &self.daemons;
        self.clients.entry(index).or_insert_with(|| daemons.connect(&daemon, unix))
    }

    /// The accept message with a name of the daemon's own making.
    fn invented(&mut self, client: u64, step: &Value) -> Result<(), String> {
        let head = self.client(client).receive(5)?;
        compare(&bytes(step)[..4], &head[..4], &[])?;
        let name = self.client(client).receive(usize::from(head[4]))?;
        if !name.starts_with(b"#r") {
            return Err(format!("an invented name is {}", name.escape_ascii()));
        }
        self.names.insert(text(&step["any_private_name"]), name);
        Ok(())
    }

    /// Puts invented names and ids of views where the step has them.
    fn filled(&self, step: &Value, mut bytes: Vec<u8>) -> Vec<u8> {
        for place in step["name_at"].as_array().into_iter().flatten() {
            let at = place[0].as_u64().expect("an offset") as usize;
            let name = &self.names[&text(&place[1])];
            bytes[at..at + 32].fill(0);
            bytes[at..at + name.len()].copy_from_slice(name);
        }
        for place in step["gid_at"].as_array().into_iter().flatten() {
            let at = place[0].as_u64().expect("an offset") as usize;
            bytes[at..at + 12].copy_from_slice(&self.ids[&text(&place[1])]);
        }
        bytes
    }

    /// Equal labels, equal ids; the label before it in the group, another id.
    fn check_id(&mut self, step: &Value, got: &[u8]) -> Result<(), String> {
        let Some(label) = step["gid"].as_str() else { return Ok(()) };
        let at = id_offset(got);
        let id = got[at..at + 12].to_vec();
        let known = self.ids.entry(label.to_owned()).or_insert_with(|| id.clone());
        if *known != id {
            return Err(format!("view {label} has id {known:02x?} and {id:02x?}"));
        }
        let (group, number) = label.rsplit_once(':').ok_or("a label without number")?;
        let earlier = number.parse::<u32>().ok().and_then(|number| number.checked_sub(1));
        let earlier = earlier.and_then(|number| self.ids.get(&format!("{group}:{number}")));
        if earlier == Some(&id) {
            return Err(format!("view {label} has the id of the one before it"));
        }
        Ok(())
    }

    fn event(&mut self, event: &str, step: &Value) -> Result<(), String> {
        let components = || -> Vec<Vec<String>> {
            let lists = step["components"].as_array().cloned().unwrap_or_default();
            lists
                .iter()
                .map(|list| list.as_array().into_iter().flatten().map(text).collect())
                .collect()
        };
        match event {
            "note" | "stop_reading" => {}
            "quiet" => {
                for client in step["clients"].as_array().into_iter().flatten() {
                    let client = client.as_u64().ok_or("a client's number")?;
                    self.client(client)
                        .quiet()
                        .map_err(|error| format!("client {client}: {error}"))?;
                }
            }
            "close" => {
                let client = step["client"].as_u64().ok_or("a close without client")?;
                if step["dir"] == "c2d" {
                    self.client(client).close();
                    self.closed.insert(client);
                    std::thread::sleep(AFTER_CLOSE);
                } else {
                    let rest = self.client(client).receive_all()?;
                    // The recorder had closed its socket by then and saw nothing of this.
                    if !rest.is_empty() && !self.closed.contains(&client) {
                        return Err(format!(
                            "{} bytes before the end: {:02x?}",
                            rest.len(),
                            &rest[..rest.len().min(96)]
                        ));
                    }
                }
            }
            "partition" => {
                if let Some(daemon) = self.driver {
                    self.driving = Some(self.daemons.drive(daemon)?);
                }
                self.daemons.partition(&components());
            }
            "heal" => self.daemons.heal(),
            "wait_formed" => {
                self.daemons.wait_formed(&components());
                std::thread::sleep(AFTER_PARTITION);
            }
            "kill_daemon" => self.daemons.kill(&text(&step["daemon"]), &text(&step["signal"])),
            "start_daemon" => self.daemons.start_named(&text(&step["daemon"])),
            other => return Err(format!("an unknown event: {other}")),
        }
        Ok(())
    }
}

/// Compares outside the masks; the error shows both around the first difference.
pub(crate) fn compare(expected: &[u8], got: &[u8], masks: &[(usize, usize)]) -> Result<(), String> {
    let masked =
        |at: usize| masks.iter().any(|(start, length)| (*start..start + length).contains(&at));
    let differs = (0..expected.len()).find(|at| !masked(*at) && expected[*at] != got[*at]);
    let Some(at) = differs else { return Ok(()) };
    let around = |bytes: &[u8]| bytes[..bytes.len().min(at + 80)].escape_ascii().to_string();
    Err(format!("byte {at} differs\n  expected {}\n  got      {}", around(expected), around(got)))
}
