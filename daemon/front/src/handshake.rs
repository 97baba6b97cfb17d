//! From a connection to a session (`client-protocol` sections 2, 10.1 and 15).

use crate::access::{Asked, Operation, permits};
use crate::connection::{Connection, State};
use crate::front::{ConnectionId, Front, FrontOutput, Session};
use bytes::{Buf, Bytes};
use spread_wire::frame::{
    AUTH_CHOICE_BYTES, Connect, PASSWORD_BYTES, Refusal, accept, auth_list, auth_methods,
};
use spread_wire::ids::{PrivateName, SessionId};
use spread_wire::link::RequestBody;
use spread_wire::time::Instant;

/// Bytes of the user name in the PWORD exchange.
const USER_BYTES: usize = 32;

impl Front {
    /// Goes one step on with what has arrived; `false` when more is needed.
    pub(crate) fn advance(&mut self, now: Instant, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get(&id) else { return false };
        match &connection.state {
            State::Hello => self.hello(id),
            State::Choice { .. } => self.choice(now, id),
            State::Password { .. } => self.password(now, id),
            State::Opening { .. } => false,
            State::Open { session } => {
                let session = *session;
                self.next_request(id, session)
            }
        }
    }

    fn hello(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let (connect, taken) = match Connect::read(&connection.input) {
            Ok(Some(read)) => read,
            Ok(None) => return false,
            Err(refusal) => return self.refuse(id, refusal),
        };
        connection.input.advance(taken);
        let user = if connect.name.is_empty() { self.invent_name() } else { connect.name.clone() };
        if !self.names.insert(user.clone()) {
            return self.refuse(id, Refusal::NotUnique);
        }
        if !connect.authenticates() {
            return self.admit_old(id, connect, user);
        }
        let allowed: Vec<&str> =
            self.settings.authentication.allowed.iter().map(String::as_str).collect();
        let list = auth_list(&allowed);
        let empty = allowed.is_empty();
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.state = State::Choice { connect, user };
        }
        if empty {
            // As the original does: the empty list and the refusal behind it, in one write.
            self.counters.refused.entry(Refusal::Auth).and_modify(|count| *count += 1).or_insert(1);
            self.write(id, Bytes::from([&list[..], &Refusal::Auth.byte()[..]].concat()));
            return self.hang_up(id);
        }
        self.write(id, list);
        true
    }

    /// A library without authentication: IP if that is offered and passes, else NULL.
    fn admit_old(&mut self, id: ConnectionId, connect: Connect, user: Bytes) -> bool {
        let allowed = &self.settings.authentication.allowed;
        let offers = |name: &str| allowed.iter().any(|method| method == name);
        let passes = offers("IP") && self.address_passes(id) || offers("NULL");
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.state = State::Choice { connect: connect.clone(), user: user.clone() };
        }
        if passes { self.admit(id, connect, user) } else { self.refuse(id, Refusal::Auth) }
    }

    fn choice(&mut self, _now: Instant, id: ConnectionId) -> bool {
        let Some(Connection { input, state: State::Choice { connect, user }, .. }) =
            self.connections.get_mut(&id)
        else {
            return false;
        };
        if input.len() < AUTH_CHOICE_BYTES {
            return false;
        }
        let (connect, user) = (connect.clone(), user.clone());
        let choice = input.split_to(AUTH_CHOICE_BYTES);
        let settings = &self.settings.authentication;
        let mut methods: Vec<String> = auth_methods(&choice)
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        if methods.is_empty() || methods.iter().any(|method| !settings.allowed.contains(method)) {
            return self.refuse(id, Refusal::Auth);
        }
        methods.extend(settings.required.iter().cloned());
        if methods.iter().any(|method| method == "IP") && !self.address_passes(id) {
            return self.refuse(id, Refusal::Auth);
        }
        if methods.iter().any(|method| method == "PWORD") {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.state = State::Password { connect, user };
            }
            return true;
        }
        self.admit(id, connect, user)
    }

    fn password(&mut self, _now: Instant, id: ConnectionId) -> bool {
        let Some(Connection { input, state: State::Password { connect, user }, .. }) =
            self.connections.get_mut(&id)
        else {
            return false;
        };
        if input.len() < PASSWORD_BYTES {
            return false;
        }
        let (connect, user) = (connect.clone(), user.clone());
        let bytes = input.split_to(PASSWORD_BYTES);
        let text = |field: &[u8]| {
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
            field[..end].to_vec()
        };
        let passwords = &self.settings.authentication.passwords;
        let right = (passwords.check)(
            &passwords.lines,
            &text(&bytes[..USER_BYTES]),
            &text(&bytes[USER_BYTES..]),
        );
        self.write(id, Bytes::copy_from_slice(&[u8::from(right)]));
        if right { self.admit(id, connect, user) } else { self.refuse(id, Refusal::Auth) }
    }

    fn address_passes(&self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get(&id) else { return false };
        self.settings.authentication.addresses.iter().any(|rule| rule.admits(connection.peer))
    }

    /// The session begins.
    fn admit(&mut self, id: ConnectionId, connect: Connect, user: Bytes) -> bool {
        let Some(connection) = self.connections.get(&id) else { return false };
        let asked = Asked {
            operation: Operation::Connect,
            user: &user,
            peer: connection.peer,
            groups: &[],
            mess_type: 0,
            service: None,
        };
        if !permits(&self.settings.access, &asked) {
            return self.refuse(id, Refusal::Auth);
        }
        self.last_session.0 += 1;
        let session = self.last_session;
        let name = PrivateName::new(&user, &self.settings.name);
        let membership = connect.membership;
        let known = Session { name: name.clone(), user, membership, connection: Some(id) };
        self.sessions.insert(session, known);
        self.request(RequestBody::Open { session, name: name.clone(), membership });
        let waits = self.settings.await_open;
        self.half_open.remove(&id);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.deadline = None;
            connection.state = if waits {
                State::Opening { connect: connect.clone(), session }
            } else {
                State::Open { session }
            };
            if waits {
                return false;
            }
        }
        self.accept(id, &connect, &name);
        true
    }

    fn accept(&mut self, id: ConnectionId, connect: &Connect, name: &PrivateName) {
        self.counters.accepted += 1;
        let bytes = accept(connect, name);
        self.write(id, bytes);
    }

    /// The session's opening was ordered.
    pub(crate) fn opened(&mut self, now: Instant, session: SessionId) {
        let Some(known) = self.sessions.get(&session) else { return };
        let (Some(id), name) = (known.connection, known.name.clone()) else { return };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if let State::Opening { connect, .. } = &connection.state {
            let connect = connect.clone();
            connection.state = State::Open { session };
            self.accept(id, &connect, &name);
            while self.advance(now, id) {}
        }
    }

    /// The name belongs to another endpoint's session.
    pub(crate) fn refused_session(&mut self, session: SessionId) {
        let Some(known) = self.sessions.get_mut(&session) else { return };
        let connection = known.connection.take();
        if let Some(id) = connection {
            if matches!(
                self.connections.get(&id).map(|known| &known.state),
                Some(State::Opening { .. })
            ) {
                self.refuse(id, Refusal::NotUnique);
            } else {
                self.connections.remove(&id);
                self.full.remove(&id);
                self.outputs.push_back(FrontOutput::Close { connection: id, flush: true });
            }
        }
        self.forget(session);
    }

    /// Sends the code, closes, frees the name. Always `false`: nothing more is to be read.
    pub(crate) fn refuse(&mut self, id: ConnectionId, refusal: Refusal) -> bool {
        *self.counters.refused.entry(refusal).or_default() += 1;
        self.write(id, refusal.byte());
        self.hang_up(id)
    }

    /// Closes a connection in the handshake after what was written.
    fn hang_up(&mut self, id: ConnectionId) -> bool {
        self.full.remove(&id);
        self.half_open.remove(&id);
        if let Some(connection) = self.connections.remove(&id) {
            self.free_half_open(&connection.state);
            self.outputs.push_back(FrontOutput::Close { connection: id, flush: true });
        }
        false
    }

    /// The name of a connection that never became a session is free again.
    pub(crate) fn free_half_open(&mut self, state: &State) {
        if let State::Choice { user, .. } | State::Password { user, .. } = state {
            self.names.remove(user);
        }
    }

    /// `r<number>-<number>`, at most nine characters.
    fn invent_name(&mut self) -> Bytes {
        loop {
            let (first, second) = (self.random() % 9999, self.random() % 999);
            let name = Bytes::from(format!("r{first}-{second}"));
            if !self.names.contains(&name) {
                return name;
            }
        }
    }
}
