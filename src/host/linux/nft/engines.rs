//! How other engines name their bridges. They count on a host that forwards; one that finds it forwarding already, because we
//! switched that on, changes nothing, and its containers would meet our guard. So these pass: their owner's rules decide.

/// What the names begin with: docker0, docker_gwbridge, podman0, cni0, cni-podman0, virbr0, lxcbr0, lxdbr0, incusbr0,
/// nerdctl0, and Docker's br-<12 hex>, of which a rule sees the first digit: an administrator's br-lan is no engine's.
pub const BRIDGES: [&str; 24] = [
    "docker", "podman", "cni", "virbr", "lxc", "lxd", "incusbr", "nerdctl", "br-0", "br-1", "br-2", "br-3",
    "br-4", "br-5", "br-6", "br-7", "br-8", "br-9", "br-a", "br-b", "br-c", "br-d", "br-e", "br-f",
];
