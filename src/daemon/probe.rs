//! What the daemon can say of itself and of its surroundings.
use super::Config;
use crate::{
    engine::{Probe, View},
    error::Result,
    host::linux::{doctor, mounter, namespace, reach},
    model::{
        reply::{Finding, NamespaceInfo, SystemInfo},
        why::{Attempt, Place},
    },
};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Facts that stay the same while the daemon runs.
pub struct Inside {
    instance: String,
    root: PathBuf,
    run: PathBuf,
    started: String,
    pools: Vec<String>,
    resolv_conf: PathBuf,
}

impl Inside {
    pub fn new(config: &Config, started: String) -> Self {
        let pools = config.pools().unwrap_or_default();
        Inside {
            instance: config.instance.clone(),
            root: config.root.clone(),
            run: config.run.clone(),
            started,
            resolv_conf: config.resolv_conf.clone(),
            pools: pools.iter().map(|pool| format!("{} in /{}", pool.base, pool.size)).collect(),
        }
    }
}

impl Probe for Inside {
    fn info(&self, view: &View) -> SystemInfo {
        let seen = doctor::process();
        SystemInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: self.instance.clone(),
            root: self.root.clone(),
            run: self.run.clone(),
            pid: std::process::id(),
            started: self.started.clone(),
            kernel: seen.kernel,
            networks: view.networks.size(),
            sandboxes: view.sandboxes.size(),
            volumes: view.volumes.size(),
            ports: view.sandboxes.values().flat_map(|s| &s.ports).map(|port| usize::from(port.count)).sum(),
            resident_memory: seen.resident_memory,
            open_files: seen.open_files,
            open_files_limit: seen.open_files_limit,
            memory: seen.memory,
            address_pools: self.pools.clone(),
            features: doctor::features(),
        }
    }

    fn namespace(&self, path: Option<&Path>) -> NamespaceInfo {
        let (home, at_path) = namespace::inodes(path);
        NamespaceInfo { home, at_path }
    }

    fn place(&self, netns: Option<&Path>) -> Result<Place> {
        reach::look(netns)
    }

    fn attempt(&self, netns: Option<&Path>, to: SocketAddr) -> Result<Attempt> {
        reach::attempt(netns, to)
    }

    fn doctor(&self, view: &View) -> Vec<Finding> {
        let subnets = view.networks.values().flat_map(|network| {
            network
                .pools
                .iter()
                .map(|pool| (network.name.to_string(), network.device().cloned(), pool.subnet))
        });
        let subnets: Vec<_> = subnets.collect();
        let mut findings = doctor::findings(&self.instance, &subnets, &self.resolv_conf, &self.root);
        findings.push(super::ledger::finding(&self.root));
        findings.extend(mounter::finding());
        findings
    }
}
