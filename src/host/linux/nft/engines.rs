//! How other engines name their bridges. They count on a host that forwards; one that finds it forwarding already, because we
//! switched that on, changes nothing, and its containers would meet our guard. So these pass: their owner's rules decide.

/// What the names begin with: docker0, docker_gwbridge, br-<12 hex>, podman0, cni0, cni-podman0, virbr0, lxcbr0, lxdbr0,
/// incusbr0, nerdctl0.
pub const BRIDGES: [&str; 9] =
    ["docker", "br-", "podman", "cni", "virbr", "lxc", "lxd", "incusbr", "nerdctl"];
