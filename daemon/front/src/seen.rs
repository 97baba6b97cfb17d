//! Which requests of others an endpoint has seen: what it saw in one component does not come again in another.

use spread_wire::ids::{EndpointUid, RequestNumber};
use std::collections::BTreeMap;

/// Endpoints of which the last message is remembered; beyond, whoever has sent nothing for longest is forgotten.
const SEEN_ENDPOINTS: usize = 4096;

/// The last request of each endpoint in another process that brought a message.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The request, and when it came, as a count of all that came.
    last: BTreeMap<EndpointUid, (RequestNumber, u64)>,
    /// Who sent last at which count.
    by_age: BTreeMap<u64, EndpointUid>,
    count: u64,
}

impl Seen {
    /// Notes a request; whether it is later than all of its endpoint that came before.
    pub(crate) fn note(&mut self, endpoint: EndpointUid, number: RequestNumber) -> bool {
        self.count += 1;
        let before = self.last.get(&endpoint).copied();
        if let Some((_, at)) = before {
            self.by_age.remove(&at);
        }
        let highest = before.map_or(RequestNumber(0), |(highest, _)| highest);
        self.last.insert(endpoint, (number.max(highest), self.count));
        self.by_age.insert(self.count, endpoint);
        if self.last.len() > SEEN_ENDPOINTS
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.last.remove(&oldest);
        }
        number > highest
    }
}
