//! What the daemons do at each sample of a profile: told from the functions on the stack.

/// What a daemon does, in the order in which a message meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doing {
    /// Reads from clients.
    ReadClients,
    /// Front, engine, ring and their bytes.
    Order,
    /// Allocates and frees.
    Allocate,
    /// Copies bytes within the daemon.
    Copy,
    /// Seals and opens packets.
    Seal,
    /// Hands packets to the kernel.
    SendPackets,
    /// Carries packets from one network namespace to the other: on a network this is the card's and the other machine's work.
    Carry,
    /// Takes packets from the kernel.
    ReceivePackets,
    /// Writes to clients.
    WriteClients,
    /// Waits for sockets and timers, and is woken.
    Wait,
    /// Anything else.
    Rest,
}

impl Doing {
    /// All, in order.
    pub const ALL: [Self; 11] = [
        Self::ReadClients,
        Self::Order,
        Self::Allocate,
        Self::Copy,
        Self::Seal,
        Self::SendPackets,
        Self::Carry,
        Self::ReceivePackets,
        Self::WriteClients,
        Self::Wait,
        Self::Rest,
    ];

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadClients => "read from clients (kernel)",
            Self::Order => "front, engine, ring",
            Self::Allocate => "allocate, free",
            Self::Copy => "copy bytes",
            Self::Seal => "seal, open",
            Self::SendPackets => "send packets (kernel)",
            Self::Carry => "carry packets between namespaces (kernel)",
            Self::ReceivePackets => "receive packets (kernel)",
            Self::WriteClients => "write to clients (kernel)",
            Self::Wait => "wait and wake (kernel, Tokio)",
            Self::Rest => "rest",
        }
    }
}

/// System calls by what they are for, in the order in which they are looked for: a send may end in the receiver's softirq.
const CALLS: [(&[&str], Doing); 6] = [
    (&["net_rx_action", "__napi_poll", "process_backlog"], Doing::Carry),
    (&["__sys_sendmsg", "__sys_sendmmsg", "__sys_sendto"], Doing::SendPackets),
    (&["__sys_recvmsg", "__sys_recvmmsg", "do_recvmmsg", "__sys_recvfrom"], Doing::ReceivePackets),
    (&["do_writev", "ksys_write", "vfs_writev"], Doing::WriteClients),
    (&["ksys_read", "vfs_read", "do_readv"], Doing::ReadClients),
    (&["epoll", "ep_poll", "schedule", "futex"], Doing::Wait),
];
/// Functions of the daemon, by parts of their names.
const FUNCTIONS: [(&[&str], Doing); 5] = [
    (&["memmove", "memcpy", "memset"], Doing::Copy),
    (&["malloc", "free", "realloc", "calloc", "_mi_", "mi_heap"], Doing::Allocate),
    (&["aws_lc", "spread_seal", "gcm", "chacha20", "poly1305"], Doing::Seal),
    (&["tokio", "mio::"], Doing::Wait),
    (
        &["spread_", "spreadd", "alloc::collections", "hashbrown", "core::", "bytes::", "smallvec"],
        Doing::Order,
    ),
];

/// What a stack says, the innermost function first.
pub fn doing(stack: &[&str]) -> Doing {
    let finds = |names: &[&str], function: &str| names.iter().any(|name| function.contains(name));
    let call = CALLS.iter().find(|(names, _)| stack.iter().any(|function| finds(names, function)));
    if let Some((_, doing)) = call {
        return *doing;
    }
    let innermost = stack.first().copied().unwrap_or_default();
    let known = FUNCTIONS.iter().find(|(names, _)| finds(names, innermost));
    known.map_or(Doing::Rest, |(_, doing)| *doing)
}

/// Parts of all samples that `perf script -F ip,sym` tells, in the order of [`Doing::ALL`]; `None` without samples.
pub fn shares(script: &str) -> Option<Vec<(Doing, f64)>> {
    let samples: Vec<Doing> = script
        .split("\n\n")
        .map(|sample| sample.lines().filter_map(|line| line.trim().split_once(' ')))
        .map(|frames| frames.map(|(_, function)| function.trim()).collect::<Vec<_>>())
        .filter(|stack| !stack.is_empty())
        .map(|stack| doing(&stack))
        .collect();
    if samples.is_empty() {
        return None;
    }
    let part = |doing: Doing| {
        let count = samples.iter().filter(|sample| **sample == doing).count();
        (doing, count as f64 / samples.len() as f64)
    };
    Some(Doing::ALL.map(part).to_vec())
}

#[cfg(test)]
mod stacks_tests {
    use super::*;

    #[test]
    fn a_stack_says_what_is_done() {
        let cases: [(&[&str], Doing); 6] = [
            (&["rep_movs_alternative", "udp_sendmsg", "__sys_sendmsg"], Doing::SendPackets),
            (&["br_forward", "net_rx_action", "__sys_sendmsg", "[unknown]"], Doing::Carry),
            (&["unix_stream_sendmsg", "do_writev"], Doing::WriteClients),
            (&["__memmove_avx512", "<spread_engine::Engine>::apply"], Doing::Copy),
            (&["<spread_engine::Engine>::apply", "main"], Doing::Order),
            (&["asm_exc_page_fault"], Doing::Rest),
        ];
        for (stack, expected) in cases {
            assert_eq!(doing(stack), expected, "{stack:?}");
        }
    }

    #[test]
    fn shares_are_of_all_samples() {
        let script = "  ffff do_writev\n  55 main\n\n  7f malloc\n  55 main\n\n  7f cfree\n\n";
        let shares = shares(script).expect("there are samples");
        let of = |doing| shares.iter().find(|(known, _)| *known == doing).map(|(_, share)| *share);
        assert_eq!(of(Doing::WriteClients), Some(1.0 / 3.0));
        assert_eq!(of(Doing::Allocate), Some(2.0 / 3.0));
        assert_eq!(super::shares("\n\n"), None);
    }
}
