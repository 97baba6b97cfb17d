//! Where the members that a daemon names can be asked.

use crate::status::Status;

/// Admin endpoints of the other members, as far as they can be told: an address that begins with the daemon's own
/// name, such as a pod's, has the form that the others' addresses have.
pub(crate) fn neighbours(address: &str, status: &Status) -> Vec<String> {
    let own = status.name.as_str();
    let Some(rest) = address.strip_prefix(own).filter(|_| !own.is_empty()) else {
        return Vec::new();
    };
    if !rest.starts_with(['.', ':']) {
        return Vec::new();
    }
    let others = status.members.iter().filter(|member| member.name != own);
    others.map(|member| format!("{}{rest}", member.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Member;

    #[test]
    fn names_in_addresses_lead_to_the_other_members() {
        let member = |name: &str| Member { name: name.into(), ..Member::default() };
        let status = Status {
            name: "o-0".into(),
            members: vec![member("o-0"), member("o-1")],
            ..Status::default()
        };
        assert_eq!(neighbours("o-0.orders:4805", &status), ["o-1.orders:4805"]);
        assert_eq!(neighbours("o-0:4805", &status), ["o-1:4805"]);
        assert!(neighbours("10.0.0.1:4805", &status).is_empty());
        assert!(neighbours("o-01.orders:4805", &status).is_empty());
        assert!(neighbours("localhost:4805", &Status::default()).is_empty());
    }
}
