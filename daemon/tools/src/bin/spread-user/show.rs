//! Prints events for people; colours only on a terminal.

use spread_client::{Asked, Cause, Event, Message, Name, View};

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

pub(crate) struct Show {
    colours: bool,
    /// Bodies only.
    bare: bool,
    me: Name,
}

impl Show {
    pub(crate) fn new(terminal: bool, bare: bool, me: Name) -> Self {
        let colours = terminal && std::env::var_os("NO_COLOR").is_none();
        Self { colours, bare, me }
    }

    pub(crate) fn event(&self, event: &Event) {
        if self.bare {
            if let Event::Message(message) = event {
                println!("{}", String::from_utf8_lossy(&message.payload));
            }
            return;
        }
        match event {
            Event::Message(message) => self.message(message),
            Event::View(view) => self.view(view),
            Event::Transition(transition) => self.dim(&format!(
                "-- {}: a daemon is lost; until the next view messages may not have reached all",
                transition.group
            )),
            Event::SelfLeave(group) => self.dim(&format!("-- {group}: left")),
            Event::Rejected(rejected) => {
                let groups: Vec<String> = rejected.groups.iter().map(Name::to_string).collect();
                let asked = match rejected.asked {
                    Asked::Join => "joining",
                    Asked::Leave => "leaving",
                    Asked::Multicast(_) => "sending to",
                };
                self.dim(&format!(
                    "-- the daemon's access rules refuse {asked} {}",
                    groups.join(" ")
                ));
            }
        }
    }

    fn message(&self, message: &Message) {
        let groups: Vec<String> = message.groups.iter().map(Name::to_string).collect();
        let (bold, plain) = if self.colours { (BOLD, PLAIN) } else { ("", "") };
        let text = String::from_utf8_lossy(&message.payload);
        let body = if text.chars().any(|c| c.is_control() && c != '\t') {
            message.payload.escape_ascii().to_string()
        } else {
            text.into_owned()
        };
        println!("{}: {bold}{}{plain}: {body}", groups.join(","), message.sender);
    }

    fn view(&self, view: &View) {
        let why = match &view.cause {
            Cause::Join(name) => format!("{name} joined"),
            Cause::Leave(name) => format!("{name} left"),
            Cause::Disconnect(name) => format!("{name} disconnected"),
            Cause::Network => {
                let others = |name: &&Name| **name != self.me;
                let along: Vec<String> =
                    view.vs_set.iter().filter(others).map(Name::to_string).collect();
                match along.as_slice() {
                    [] => "daemons changed, nobody came along with you".to_owned(),
                    names => format!("daemons changed, {} came along with you", names.join(" ")),
                }
            }
        };
        let members: Vec<String> = view.members.iter().map(Name::to_string).collect();
        let group = &view.group;
        self.dim(&format!("-- {group}: {why}; {} members: {}", members.len(), members.join(" ")));
    }

    fn dim(&self, text: &str) {
        if self.colours {
            println!("{DIM}{text}{PLAIN}");
        } else {
            println!("{text}");
        }
    }
}
