//! Replays one transcript: what clients sent goes in, what they got has to come out.

use crate::world::{Listed, World};
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use serde_json::Value;
use spread_front::{
    AccessRule, Action, AddressRule, FrontSettings, Operation, Passwords, Pattern, Peer,
};
use std::collections::BTreeMap;

/// A daemon event or an answer may take so long, in virtual time.
const PATIENCE: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_millis(250);

struct Replay {
    vector: Value,
    world: World,
    names: Vec<String>,
    ids: BTreeMap<String, Vec<u8>>,
    private_names: BTreeMap<String, Vec<u8>>,
}

/// Replays the transcript of this name.
pub fn replay(name: &str) {
    let path = format!("{}/../spreadd/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the transcript is there");
    let vector: Value = serde_json::from_str(&text).expect("a transcript is JSON");
    let daemons = vector["daemons"].as_array().expect("daemons");
    let listed: Vec<Listed> = daemons.iter().map(listed).collect();
    let names: Vec<String> = listed.iter().map(|daemon| daemon.name.clone()).collect();
    let mut world = World::new(listed, name, settings);
    let all: Vec<usize> = (0..names.len()).collect();
    world.run_until(PATIENCE, |world| world.formed(std::slice::from_ref(&all)));
    assert!(world.formed(&[all]), "the daemons find each other");
    let steps = vector["steps"].as_array().expect("steps").clone();
    let mut replay =
        Replay { vector, world, names, ids: BTreeMap::new(), private_names: BTreeMap::new() };
    for (index, step) in steps.iter().enumerate() {
        replay.step(step).unwrap_or_else(|what| panic!("{name}, step {index}: {what}\n{step}"));
    }
}

fn listed(daemon: &Value) -> Listed {
    let address: Ipv4Addr = text(&daemon["id"]).parse().expect("an address");
    let vs_key = i64::from(address.to_bits().cast_signed());
    Listed { name: text(&daemon["name"]), vs_key }
}

/// The settings that a transcript's configuration and files ask for.
fn settings(settings: &mut FrontSettings, vector: &str) {
    match &vector[..2] {
        "25" => {
            settings.authentication.allowed = vec!["IP".into()];
            settings.authentication.addresses = vec![AddressRule::Unix, AddressRule::Local];
        }
        "26" => settings.access = rejections(),
        "27" => {
            settings.authentication.allowed = vec!["PWORD".into()];
            settings.authentication.passwords = Passwords {
                check: |lines, user, password| {
                    lines.iter().any(|(known, word)| {
                        known.as_bytes() == user && word.as_bytes() == password
                    })
                },
                lines: vec![("joe".into(), "secret".into())],
            };
        }
        _ => {}
    }
}

/// The altered policy that `26_reject` describes.
fn rejections() -> Vec<AccessRule> {
    let rule = |operation, group: Option<&str>, mess_type| AccessRule {
        action: Action::Deny,
        operation: Some(operation),
        user: None,
        address: None,
        group: group.map(|group| Pattern(group.into())),
        mess_type,
        service: None,
    };
    vec![
        rule(Operation::Join, Some("deny*"), None),
        rule(Operation::Leave, Some("stay*"), None),
        rule(Operation::Send, None, Some(666)),
    ]
}

impl Replay {
    fn step(&mut self, step: &Value) -> Result<(), String> {
        let client = step["client"].as_u64();
        match (step["dir"].as_str(), step["event"].as_str(), client) {
            (Some("c2d"), None, Some(client)) => self.send(client, step),
            // Nobody is there to read what comes after the client's own end.
            (Some("d2c"), _, Some(client)) if self.world.clients[&client].ended => {}
            (Some("d2c"), None, Some(client)) => return self.expect(client, step),
            (Some("c2d"), Some("close"), Some(client)) => {
                self.world.close(client);
                self.world.run_for(SETTLE);
            }
            (Some("d2c"), Some("close"), Some(client)) => {
                self.world.run_until(PATIENCE, |world| world.clients[&client].closed);
                let end = &self.world.clients[&client];
                ensure(end.closed, "the daemon did not close the stream")?;
                ensure(end.inbox.is_empty(), "bytes came before the end of the stream")?;
            }
            (None, Some(event), _) => return self.event(event, step),
            _ => return Err("an unknown kind of step".into()),
        }
        Ok(())
    }

    fn event(&mut self, event: &str, step: &Value) -> Result<(), String> {
        match event {
            "note" => {}
            "quiet" => {
                self.world.run_for(SETTLE);
                for client in step["clients"].as_array().expect("clients") {
                    let client = client.as_u64().expect("a client");
                    let quiet = self.world.clients.get(&client).is_none_or(|c| c.inbox.is_empty());
                    ensure(quiet, &format!("client {client} was not left alone"))?;
                }
            }
            "partition" => self.world.partition(&self.components(step)),
            "heal" => self.world.partition(&[(0..self.names.len()).collect()]),
            "kill_daemon" if step["signal"] == "SIGTERM" => self.world.terminate(self.slot(step)),
            "kill_daemon" => self.world.kill(self.slot(step)),
            "start_daemon" => self.world.start(self.slot(step)),
            "wait_formed" => {
                let components = self.components(step);
                self.world.run_until(PATIENCE, |world| world.formed(&components));
                ensure(self.world.formed(&components), "the daemons do not find each other")?;
            }
            _ => return Err("an unknown event".into()),
        }
        Ok(())
    }

    fn slot(&self, step: &Value) -> usize {
        self.slot_named(&text(&step["daemon"]))
    }

    fn slot_named(&self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).expect("a listed daemon")
    }

    fn components(&self, step: &Value) -> Vec<Vec<usize>> {
        let component = |names: &Value| {
            let names = names.as_array().expect("names").iter();
            let mut slots: Vec<usize> = names.map(|name| self.slot_named(&text(name))).collect();
            slots.sort_unstable();
            slots
        };
        step["components"].as_array().expect("components").iter().map(component).collect()
    }

    fn send(&mut self, client: u64, step: &Value) {
        if step["kind"] == "connect" {
            let clients = self.vector["clients"].as_array().expect("clients");
            let known = clients.iter().find(|known| known["client"] == client).expect("listed");
            let unix = known["transport"] == "unix";
            let local = Peer::Tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
            let slot = self.slot_named(&text(&known["daemon"]));
            self.world.connect(client, slot, if unix { Peer::Unix } else { local });
        }
        let bytes = self.bytes(step);
        self.world.send(client, &bytes);
        if step["decoded"]["type"] == "KILL" {
            self.world.run_for(SETTLE);
        }
    }

    /// The step's bytes with what this run made up put in.
    fn bytes(&self, step: &Value) -> Vec<u8> {
        let mut bytes = unhex(&text(&step["bytes"]));
        let length = step["fill"]["len"].as_u64().unwrap_or(0);
        bytes.extend((0..length).map(|index| (index % 251) as u8));
        for (at, label) in places(&step["gid_at"]) {
            if let Some(id) = self.ids.get(&label) {
                bytes[at..at + 12].copy_from_slice(id);
            }
        }
        for (at, label) in places(&step["name_at"]) {
            if let Some(name) = self.private_names.get(&label) {
                bytes[at..at + 32].fill(0);
                bytes[at..at + name.len()].copy_from_slice(name);
            }
        }
        bytes
    }

    fn expect(&mut self, client: u64, step: &Value) -> Result<(), String> {
        if let Some(label) = step["any_private_name"].as_str() {
            return self.expect_any_name(client, label);
        }
        let mut expected = self.bytes(step);
        let mut got = self.take(client, expected.len())?;
        if step["kind"] == "accept" {
            ensure(matches!(got[1], 4 | 5), "no version of the protocol")?;
            got[1..4].copy_from_slice(&expected[1..4]);
        }
        let ignored: Vec<(usize, usize)> =
            ranges(&step["mask"]).into_iter().chain(ranges(&step["impl"])).collect();
        if let Some(label) = step["gid"].as_str() {
            let at = ignored.iter().map(|(at, _)| *at).min().ok_or("an id without a place")?;
            self.check_id(label, &got[at..at + 12])?;
        }
        for (at, length) in ignored {
            let same: Vec<u8> = got[at..at + length].to_vec();
            expected[at..at + length].copy_from_slice(&same);
        }
        let differs = (0..got.len()).find(|at| got[*at] != expected[*at]);
        differs.map_or(Ok(()), |at| {
            let shown = expected.len().min(240);
            let (got, expected) = (hex(&got[..shown]), hex(&expected[..shown]));
            Err(format!("byte {at} differs\n     got {got}\nexpected {expected}"))
        })
    }

    /// Waits for so many bytes.
    fn take(&mut self, client: u64, length: usize) -> Result<Vec<u8>, String> {
        self.world.run_until(PATIENCE, |world| world.clients[&client].inbox.len() >= length);
        let end = self.world.clients.get_mut(&client).expect("connected");
        if end.inbox.len() < length {
            return Err(format!("only {} bytes came: {}", end.inbox.len(), hex(&end.inbox)));
        }
        Ok(end.inbox.drain(..length).collect())
    }

    fn expect_any_name(&mut self, client: u64, label: &str) -> Result<(), String> {
        let head = self.take(client, 5)?;
        ensure(head[0] == 1, "not accepted")?;
        let name = self.take(client, usize::from(head[4]))?;
        ensure(name.first() == Some(&b'#') && name.len() < 32, "not a private name")?;
        self.private_names.insert(label.into(), name);
        Ok(())
    }

    /// Equal labels have equal ids; the ids of consecutive views differ.
    fn check_id(&mut self, label: &str, id: &[u8]) -> Result<(), String> {
        if let Some(known) = self.ids.get(label) {
            return ensure(known == id, &format!("the id of {label} is not the same everywhere"));
        }
        let (group, number) = label.rsplit_once(':').ok_or("a label without a number")?;
        let number: u64 = number.parse().map_err(|_| "a label without a number")?;
        let before = self.ids.get(&format!("{group}:{}", number.saturating_sub(1)));
        ensure(before.is_none_or(|before| before != id), "the id did not change")?;
        self.ids.insert(label.into(), id.to_vec());
        Ok(())
    }
}

fn ensure(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").into()
}

fn ranges(value: &Value) -> Vec<(usize, usize)> {
    let number = |value: &Value| value.as_u64().expect("a number") as usize;
    let pairs = value.as_array().into_iter().flatten();
    pairs.map(|pair| (number(&pair[0]), number(&pair[1]))).collect()
}

fn places(value: &Value) -> Vec<(usize, String)> {
    let pairs = value.as_array().into_iter().flatten();
    pairs.map(|pair| (pair[0].as_u64().expect("a number") as usize, text(&pair[1]))).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
