//! `/info`: the daemon as Docker would describe it. What Docker has and we have not is there, empty, because clients
//! read it without asking.
use super::{asked::Asked, system, wire};
use crate::{
    api::{Doorways, reply::Answer},
    error::Result,
    model::reply::SystemInfo,
};
use serde_json::{Value, json};

pub async fn info(asked: &Asked<'_>, doorways: &Doorways) -> Result<Answer> {
    let info = system::system_info(doorways).await?;
    let mut page = ours(&info);
    let map = page.as_object_mut();
    if let (Some(page), Value::Object(rest)) = (map, empty()) {
        page.extend(rest);
    }
    if asked.version >= (1, 49) {
        page["FirewallBackend"] = json!({ "Driver": "nftables", "Info": [] });
    } else {
        page["BridgeNfIptables"] = json!(false);
        page["BridgeNfIp6tables"] = json!(false);
    }
    Ok(wire::ok(&page))
}

fn ours(info: &SystemInfo) -> Value {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let pools: Vec<Value> = info.address_pools.iter().filter_map(|pool| address_pool(pool)).collect();
    json!({
        "ID": format!("pontoon-{}", info.instance),
        "Name": nix::unistd::gethostname().unwrap_or_default().to_string_lossy(),
        "ServerVersion": info.version,
        "DockerRootDir": info.root,
        "KernelVersion": info.kernel,
        "OperatingSystem": "Pontoon",
        "OSType": "linux",
        "Architecture": std::env::consts::ARCH,
        "NCPU": count,
        "MemTotal": info.memory,
        "Containers": info.sandboxes,
        "ContainersRunning": info.sandboxes,
        "NFd": info.open_files,
        "DefaultAddressPools": pools,
        "IPv4Forwarding": true,
        "LiveRestoreEnabled": true,
        "SystemTime": jiff::Timestamp::now().to_string(),
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "ipvlan", "macvlan", "null"],
            "Authorization": null,
            "Log": [],
        },
    })
}

/// `172.16.0.0/12 size 24` as Docker's object; a pool said in other words is left out.
fn address_pool(text: &str) -> Option<Value> {
    let base = text.split_whitespace().next()?;
    let size = text.rsplit([' ', '/']).next()?.parse::<u8>().ok()?;
    Some(json!({ "Base": base, "Size": size }))
}

/// A container engine's abilities and counts.
fn empty() -> Value {
    let yes = ["MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet", "PidsLimit"];
    let no = ["OomKillDisable", "KernelMemory", "KernelMemoryTCP", "Debug", "ExperimentalBuild"];
    let zero = ["ContainersPaused", "ContainersStopped", "Images", "NGoroutines", "NEventsListener"];
    let text = ["OSVersion", "IndexServerAddress", "HttpProxy", "HttpsProxy", "NoProxy", "DefaultRuntime"];
    let more = ["Isolation", "InitBinary"];
    let list = ["DriverStatus", "Labels", "SecurityOptions", "CDISpecDirs"];
    let null = ["RegistryConfig", "GenericResources", "Warnings"];
    let mut all = rest();
    let groups: [(&[&str], Value); 7] = [
        (&yes, json!(true)),
        (&no, json!(false)),
        (&zero, json!(0)),
        (&text, json!("")),
        (&more, json!("")),
        (&list, json!([])),
        (&null, Value::Null),
    ];
    for (keys, value) in groups {
        keys.iter().for_each(|key| all[*key] = value.clone());
    }
    all
}

fn rest() -> Value {
    json!({
        "Driver": "none",
        "LoggingDriver": "none",
        "CgroupDriver": "none",
        "CgroupVersion": "2",
        "Runtimes": {},
        "ContainerdCommit": { "ID": "", "Expected": "" },
        "RuncCommit": { "ID": "", "Expected": "" },
        "InitCommit": { "ID": "", "Expected": "" },
        "Swarm": {
            "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false, "Error": "",
            "RemoteManagers": null,
        },
    })
}
