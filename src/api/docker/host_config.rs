//! `HostConfig` of a sandbox: what we know of it, and the limits and rights of a container engine as it shows them when
//! nothing was asked for.
use crate::model::reply::SandboxInfo;
use serde_json::{Map, Value, json};

pub fn show(sandbox: &SandboxInfo, network_mode: &str, ports: Map<String, Value>) -> Value {
    let hosts: Vec<String> =
        sandbox.hosts.iter().map(|(name, address)| format!("{name}:{address}")).collect();
    let mut all = nothing();
    let ours = json!({
        "NetworkMode": network_mode,
        "PortBindings": ports,
        "Dns": sandbox.dns.servers,
        "DnsOptions": sandbox.dns.options,
        "DnsSearch": sandbox.dns.search,
        "ExtraHosts": hosts,
    });
    if let (Some(all), Value::Object(ours)) = (all.as_object_mut(), ours) {
        all.extend(ours);
    }
    all
}

const NUMBERS: [&str; 18] = [
    "BlkioWeight",
    "CpuCount",
    "CpuPercent",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpuShares",
    "IOMaximumBandwidth",
    "IOMaximumIOps",
    "KernelMemory",
    "KernelMemoryTCP",
    "Memory",
    "MemoryReservation",
    "MemorySwap",
    "NanoCpus",
    "OomScoreAdj",
    "ShmSize",
];
const TEXTS: [&str; 13] = [
    "Cgroup",
    "CgroupParent",
    "CgroupnsMode",
    "ContainerIDFile",
    "CpusetCpus",
    "CpusetMems",
    "IpcMode",
    "Isolation",
    "PidMode",
    "Runtime",
    "UTSMode",
    "UsernsMode",
    "VolumeDriver",
];
const FLAGS: [&str; 4] = ["AutoRemove", "Privileged", "PublishAllPorts", "ReadonlyRootfs"];
const NULLS: [&str; 21] = [
    "Binds",
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeightDevice",
    "CapAdd",
    "CapDrop",
    "DeviceCgroupRules",
    "DeviceRequests",
    "Devices",
    "GroupAdd",
    "Links",
    "MaskedPaths",
    "ReadonlyPaths",
    "SecurityOpt",
    "Ulimits",
    "VolumesFrom",
    "MemorySwappiness",
    "PidsLimit",
    "OomKillDisable",
];

fn nothing() -> Value {
    let mut all = json!({
        "RestartPolicy": { "Name": "no", "MaximumRetryCount": 0 },
        "LogConfig": { "Type": "none", "Config": {} },
        "ConsoleSize": [0, 0],
    });
    NUMBERS.iter().for_each(|key| all[*key] = json!(0));
    TEXTS.iter().for_each(|key| all[*key] = json!(""));
    FLAGS.iter().for_each(|key| all[*key] = json!(false));
    NULLS.iter().for_each(|key| all[*key] = Value::Null);
    all
}
