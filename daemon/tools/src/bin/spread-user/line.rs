//! What a line typed at the prompt means.

use spread_client::Service;
use std::str::FromStr;

/// Text of `/help`.
pub(crate) const HELP: &str = "\
TEXT                  send TEXT to the group joined last
/join GROUP           join a group; lines go there from now on
/leave [GROUP]        leave a group
/to NAME[,NAME] TEXT  send to groups, or to one session by its name (#user#daemon)
/service SERVICE      unreliable, reliable, fifo, causal, agreed or safe
/quit                 disconnect
//TEXT                send a line that starts with a slash
";

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Empty,
    Help,
    Quit,
    Service(Service),
    Join(String),
    Leave(Option<String>),
    To(Vec<String>, String),
    Say(String),
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::Empty);
        }
        let Some(command) = text.strip_prefix('/') else { return Ok(Self::Say(text.to_owned())) };
        if command.starts_with('/') {
            return Ok(Self::Say(command.to_owned()));
        }
        let (word, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim_start();
        let group = || {
            let group = rest.trim_end();
            (!group.is_empty()).then(|| group.to_owned())
        };
        match word {
            "help" | "h" | "?" => Ok(Self::Help),
            "quit" | "q" => Ok(Self::Quit),
            "join" | "j" => group().map(Self::Join).ok_or("join which group? /join GROUP".into()),
            "leave" | "l" => Ok(Self::Leave(group())),
            "service" => service(rest.trim_end()).map(Self::Service),
            "to" => {
                let (names, body) = rest.split_once(' ').ok_or("/to NAME TEXT")?;
                Ok(Self::To(names.split(',').map(str::to_owned).collect(), body.to_owned()))
            }
            other => Err(format!("/{other} is unknown: /help lists what can be typed")),
        }
    }
}

/// Reads the name of a service.
pub(crate) fn service(text: &str) -> Result<Service, String> {
    match text.to_ascii_lowercase().as_str() {
        "unreliable" => Ok(Service::Unreliable),
        "reliable" => Ok(Service::Reliable),
        "fifo" => Ok(Service::Fifo),
        "causal" => Ok(Service::Causal),
        "agreed" => Ok(Service::Agreed),
        "safe" => Ok(Service::Safe),
        other => Err(format!(
            "`{other}` is no service: unreliable, reliable, fifo, causal, agreed or safe"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_what_help_says() {
        let says = |text: &str| text.parse::<Line>();
        assert_eq!(says("hello there"), Ok(Line::Say("hello there".into())));
        assert_eq!(says("//etc"), Ok(Line::Say("/etc".into())));
        assert_eq!(says("/join  chat "), Ok(Line::Join("chat".into())));
        assert_eq!(says("/leave"), Ok(Line::Leave(None)));
        assert_eq!(says("/service SAFE"), Ok(Line::Service(Service::Safe)));
        let to = Line::To(vec!["a".into(), "#bob#d1".into()], "hi  you".into());
        assert_eq!(says("/to a,#bob#d1 hi  you"), Ok(to));
        assert_eq!(says(""), Ok(Line::Empty));
        assert!(says("/jion x").is_err_and(|why| why.contains("/help")));
        assert!(says("/join").is_err());
        assert!(says("/service fast").is_err());
    }
}
