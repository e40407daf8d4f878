//! Counters of the interfaces of the namespace that the calling thread is in, all in one reading.
use std::collections::HashMap;

/// As the interface counts (proc_net(5), /proc/net/dev).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    pub received_bytes: u64,
    pub received_packets: u64,
    pub sent_bytes: u64,
    pub sent_packets: u64,
}

/// By name of the interface. Empty if it cannot be read.
pub fn read() -> HashMap<String, Traffic> {
    parse(&std::fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default())
}

fn parse(text: &str) -> HashMap<String, Traffic> {
    let line = |line: &str| {
        let (name, counts) = line.split_once(':')?;
        let counts: Vec<u64> = counts.split_whitespace().map_while(|count| count.parse().ok()).collect();
        let count = |i: usize| counts.get(i).copied();
        let traffic = Traffic {
            received_bytes: count(0)?,
            received_packets: count(1)?,
            sent_bytes: count(8)?,
            sent_packets: count(9)?,
        };
        Some((name.trim().to_owned(), traffic))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let text = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    100       2    0    0    0     0          0         0      300       4    0    0    0     0       0          0
ptabc: 1 2 0 0 0 0 0 0 3
";
        let wanted = Traffic { received_bytes: 100, received_packets: 2, sent_bytes: 300, sent_packets: 4 };
        assert_eq!(parse(text), HashMap::from([("lo".to_owned(), wanted)]));
    }
}
