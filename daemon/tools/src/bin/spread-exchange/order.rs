//! What has to come: every number of every client once, in its sender's order, and all of it in one order everywhere.

use spread_client::Name;
use std::collections::BTreeMap;

/// What this client has received so far.
pub struct Order {
    messages: u64,
    /// The number that each client's next message has to have.
    next: BTreeMap<Name, u64>,
    /// Digest of all that came, in the order in which it came.
    digest: u64,
    /// What each client's digest was.
    digests: BTreeMap<Name, u64>,
}

impl Order {
    /// Waits for so many messages of each of these clients.
    pub fn new(clients: &[Name], messages: u64) -> Self {
        let next = clients.iter().map(|client| (client.clone(), 0)).collect();
        Self { messages, next, digest: FNV_BASIS, digests: BTreeMap::new() }
    }

    /// Takes a numbered message.
    pub fn number(&mut self, sender: &Name, number: u64) -> Result<(), String> {
        let Some(next) = self.next.get_mut(sender) else {
            return Err(format!("{sender} sends and was not in the group when the exchange began"));
        };
        if number != *next || number >= self.messages {
            return Err(format!("{sender}: message {number} came, {next} was next"));
        }
        *next += 1;
        self.digest = fnv(fnv(self.digest, sender.as_bytes()), &number.to_le_bytes());
        Ok(())
    }

    /// Takes what a client says it received. In one order, all of it was received here before.
    pub fn digest(&mut self, sender: &Name, digest: u64) -> Result<(), String> {
        if self.complete().is_none() {
            return Err(format!("{sender} is done before all it received came here"));
        }
        self.digests.insert(sender.clone(), digest);
        Ok(())
    }

    /// Own digest, once every message of everybody has come.
    pub fn complete(&self) -> Option<u64> {
        self.next.values().all(|next| *next == self.messages).then_some(self.digest)
    }

    /// Whether everybody has told; an error names who received something else.
    pub fn agreed(&self) -> Result<bool, String> {
        match self.digests.iter().find(|(_, digest)| Some(**digest) != self.complete()) {
            Some((client, _)) => {
                Err(format!("{client} received the same messages in another order"))
            }
            None => Ok(self.digests.len() == self.next.len()),
        }
    }

    /// Messages received, and messages to be received.
    pub fn progress(&self) -> (u64, u64) {
        (self.next.values().sum(), self.messages * self.next.len() as u64)
    }

    /// What is missing, for people.
    pub fn missing(&self) -> String {
        let missing: Vec<String> = self
            .next
            .iter()
            .filter(|(_, next)| **next < self.messages)
            .map(|(client, next)| format!("{} from {client}", self.messages - next))
            .collect();
        if missing.is_empty() { "the others' digests".to_owned() } else { missing.join(", ") }
    }
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, not against forgery: to compare two orders.
fn fnv(digest: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(digest, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod order_tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_bytes(text.as_bytes())
    }

    fn clients() -> [Name; 2] {
        [name("#a#d0"), name("#b#d1")]
    }

    fn after(numbers: &[(usize, u64)]) -> Order {
        let clients = clients();
        let mut order = Order::new(&clients, 2);
        for (client, number) in numbers {
            order.number(&clients[*client], *number).expect("it is next");
        }
        order
    }

    #[test]
    fn one_order_has_one_digest_and_another_order_another() {
        let mut order = after(&[(0, 0), (1, 0), (0, 1), (1, 1)]);
        let same = after(&[(0, 0), (1, 0), (0, 1), (1, 1)]).complete();
        let other = after(&[(1, 0), (0, 0), (0, 1), (1, 1)]).complete();
        assert!(same.is_some() && order.complete() == same && order.complete() != other);
        let [a, b] = clients();
        order.digest(&a, same.unwrap_or(0)).expect("it is complete");
        assert_eq!(order.agreed(), Ok(false), "b has not told");
        order.digest(&b, other.unwrap_or(0)).expect("it is complete");
        assert!(order.agreed().unwrap_err().contains("#b#d1"));
        order.digest(&b, same.unwrap_or(0)).expect("it is complete");
        assert_eq!(order.agreed(), Ok(true));
    }

    #[test]
    fn what_is_lost_doubled_foreign_or_too_early_is_named() {
        let [a, b] = clients();
        let mut order = after(&[(0, 0)]);
        assert!(order.number(&a, 0).unwrap_err().contains("message 0 came, 1 was next"));
        assert!(order.number(&b, 1).unwrap_err().contains("message 1 came, 0 was next"));
        assert!(order.number(&name("#c#d2"), 0).is_err());
        assert!(order.digest(&b, 7).unwrap_err().contains("before"));
        assert_eq!(order.progress(), (1, 4));
        assert_eq!(order.missing(), "1 from #a#d0, 2 from #b#d1");
        order.number(&a, 1).expect("it is next");
        assert!(order.number(&a, 2).is_err(), "more than was agreed on");
    }
}
