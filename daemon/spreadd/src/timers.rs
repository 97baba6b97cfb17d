//! The ring's timers, from the profile and the timeouts of the configuration.

use spread_conf::{Conf, Profile, Timeouts};
use spread_ring::Timers;
use std::time::Duration;

/// Others have to see an idle token several times before they may take it for lost.
const IDLE_SHARE: u32 = 3;

/// Timers of the profile. The nine timeouts of the original count in the custom one only.
pub(crate) fn timers(conf: &Conf) -> Timers {
    match (conf.profile, &conf.timeouts) {
        (Profile::Custom, Some(timeouts)) => custom(timeouts),
        (Profile::Wan, _) => Timers::wan(),
        (Profile::Lan | Profile::Custom, _) => Timers::lan(),
    }
}

/// What each timeout of the original means to this ring. AliveTimeout and RepTimeout belong to segments
/// and their representatives, which a flat ring has not.
fn custom(timeouts: &Timeouts) -> Timers {
    let milliseconds = |number: u32| Duration::from_millis(u64::from(number));
    Timers {
        token_loss: milliseconds(timeouts.token),
        // In the original one timeout is both: when to send a token again and how long an idle one rests.
        token_retransmit: milliseconds(timeouts.hurry),
        idle_token: milliseconds(timeouts.hurry.min(timeouts.token / IDLE_SHARE).max(1)),
        // A silent successor counts as crashed when the token would count as lost, not later.
        token_retransmits: (timeouts.token / timeouts.hurry.max(1)).max(1),
        join_interval: milliseconds(timeouts.join),
        consensus_timeout: milliseconds(timeouts.gather),
        // In the original a lone daemon collects its segment first and everybody then.
        singleton_delay: milliseconds(timeouts.seg) + milliseconds(timeouts.gather),
        form_timeout: milliseconds(timeouts.form),
        probe_interval: milliseconds(timeouts.lookup),
    }
}

#[cfg(test)]
mod timers_tests {
    use super::*;

    const NINE: &str = "TokenTimeout = 1250 HurryTimeout = 500 AliveTimeout = 250 JoinTimeout = 251 \
        RepTimeout = 625 SegTimeout = 501 GatherTimeout = 1252 FormTimeout = 1253 LookupTimeout = 30000";
    const SLOT: &str = "Spread_Segment 10.0.0.255 { a 10.0.0.1 }";

    fn read(options: &str) -> Timers {
        timers(&spread_conf::parse(&format!("{options}\n{SLOT}")).expect("right").0)
    }

    #[test]
    fn a_profile_is_not_moved_by_timeouts_of_the_original() {
        assert_eq!(read(NINE), Timers::lan());
        assert_eq!(read(&format!("Profile = wan {NINE}")), Timers::wan());
    }

    #[test]
    fn the_custom_profile_takes_what_has_a_counterpart() {
        let milliseconds = Duration::from_millis;
        let expected = Timers {
            token_retransmit: milliseconds(500),
            token_retransmits: 2,
            token_loss: milliseconds(1250),
            join_interval: milliseconds(251),
            consensus_timeout: milliseconds(1252),
            form_timeout: milliseconds(1253),
            idle_token: milliseconds(416),
            probe_interval: milliseconds(30_000),
            singleton_delay: milliseconds(1753),
        };
        assert_eq!(read(&format!("Profile = custom {NINE}")), expected);
    }
}
