//! Answers that need only the published view: lists and inspections. Nothing here waits for the writer.
use super::{filters, view::View, volume::mountpoint};
use crate::{
    error::Result,
    model::{
        Endpoint, Family, Network, Sandbox, Volume,
        address::number,
        command::Filters,
        kernel::host_end,
        mount::{MountKind, MountSpec},
        network::{Driver, Pool, Settings},
        reply::{EndpointInfo, Files, Member, MountInfo, NetworkInfo, SandboxInfo, SubnetInfo, VolumeInfo},
        reservation::Reservation,
        sandbox::Netns,
    },
    plan::{Lookup, gateway, names},
};
use std::{net::IpAddr, path::Path, sync::Arc};

pub fn networks(view: &View, filters: &Filters) -> Result<Vec<NetworkInfo>> {
    let filter =
        filters::Filter::parse(filters, &["name", "id", "driver", "label", "dangling", "type", "scope"])?;
    let mut found: Vec<_> = view.networks.values().filter(|n| filter.network(view, n)).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found.into_iter().map(|network| network_info(view, network, false)).collect())
}

pub fn network_info(view: &View, network: &Network, members: bool) -> NetworkInfo {
    let seated = view.members(network.id);
    let seats: Vec<_> = seated.iter().filter_map(|s| s.endpoint_in(network.id).map(|e| (s, e))).collect();
    NetworkInfo {
        id: network.id,
        name: network.name.clone(),
        driver: network.driver,
        scope: "local".to_owned(),
        created: network.created.clone(),
        internal: network.internal,
        ipv4: network.ipv4,
        ipv6: network.ipv6,
        device: match &network.settings {
            Settings::Bridge { device, .. } => Some(device.clone()),
            Settings::Vlan { parent, .. } => Some(parent.clone()),
            Settings::Plain => None,
        },
        subnets: network.pools.iter().map(|pool| subnet_info(pool, seats.iter().map(|(_, e)| *e))).collect(),
        options: network.options.clone(),
        labels: network.labels.clone(),
        config_only: network.config_only,
        config_from: network.config_from.clone(),
        sandboxes: seats.len(),
        members: match members {
            true => seats.iter().map(|(sandbox, endpoint)| member(sandbox, endpoint, network)).collect(),
            false => Vec::new(),
        },
    }
}

fn member(sandbox: &Sandbox, endpoint: &Endpoint, network: &Network) -> Member {
    Member {
        sandbox: sandbox.id,
        name: sandbox.name.clone(),
        endpoint: endpoint.id,
        mac: endpoint.mac,
        addresses: endpoint.addresses().filter_map(|address| network.cidr(address)).collect(),
        ports: sandbox.ports.clone(),
    }
}

/// Used and free addresses; what can be chosen is the range, without network, broadcast, gateway and aux addresses.
fn subnet_info<'a>(pool: &Pool, endpoints: impl Iterator<Item = &'a Endpoint>) -> SubnetInfo {
    let choosable = pool.range.unwrap_or(pool.subnet);
    let used: Vec<IpAddr> =
        endpoints.flat_map(Endpoint::addresses).filter(|address| pool.subnet.contains(*address)).collect();
    let set_aside = set_aside(pool).into_iter().filter(|address| choosable.contains(*address)).count();
    let taken = used.iter().filter(|address| choosable.contains(**address)).count() + set_aside;
    let size = (number(choosable.last()) - number(choosable.base())).saturating_add(1);
    let small = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
    SubnetInfo {
        subnet: pool.subnet,
        gateway: pool.gateway,
        range: pool.range,
        aux: pool.aux.clone(),
        used: used.len() as u64,
        free: small(size.saturating_sub(taken as u128)),
    }
}

fn set_aside(pool: &Pool) -> Vec<IpAddr> {
    let edges = [pool.subnet.base(), pool.subnet.last()].into_iter();
    let edges = edges.filter(|edge| {
        !matches!(crate::ipam::address_use(&pool.subnet, *edge), crate::ipam::AddressUse::Host)
    });
    let mut addresses: Vec<IpAddr> = edges.chain(pool.gateway).chain(pool.aux.values().copied()).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

pub fn endpoint_info(endpoint: &Endpoint, network: &Network) -> EndpointInfo {
    let gateways = network.pools.iter().filter(|pool| {
        endpoint.address(pool.subnet.family()).is_some() && network.leads_out(pool.subnet.family())
    });
    EndpointInfo {
        id: endpoint.id,
        network: network.name.clone(),
        network_id: network.id,
        ifname: endpoint.ifname.clone(),
        host_ifname: (network.driver == Driver::Bridge).then(|| host_end(&endpoint.id)),
        mac: endpoint.mac,
        addresses: endpoint.addresses().filter_map(|address| network.cidr(address)).collect(),
        gateways: gateways.filter_map(|pool| pool.gateway).collect(),
        aliases: endpoint.aliases.clone(),
        links: endpoint.links.clone(),
        priority: endpoint.priority,
        asked: endpoint.asked.clone(),
        link_local: endpoint.link_local.clone(),
        sysctls: endpoint.sysctls.clone(),
        routes: endpoint.routes.clone(),
        bandwidth: endpoint.bandwidth,
        labels: endpoint.labels.clone(),
    }
}

pub fn sandboxes(view: &View, root: &Path, filters: &Filters) -> Result<Vec<SandboxInfo>> {
    let filter = filters::Filter::parse(filters, &["name", "id", "label", "network", "volume", "status"])?;
    let mut found: Vec<_> = view.sandboxes.values().filter(|s| filter.sandbox(view, s)).collect();
    found.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.name.cmp(&b.name)));
    Ok(found.into_iter().map(|sandbox| sandbox_info(view, root, sandbox, None)).collect())
}

pub fn sandbox_info(view: &View, root: &Path, sandbox: &Sandbox, files: Option<Files>) -> SandboxInfo {
    let seats = gateway::ordered(sandbox, view);
    let through = |family| gateway::choose(&seats, family).map(|(_, network)| network.name.clone());
    let networks = sandbox.endpoints.iter();
    let networks = networks.filter_map(|e| view.network(e.network).map(|network| endpoint_info(e, &network)));
    let aliases: Vec<String> = sandbox.endpoints.iter().flat_map(|e| e.aliases.clone()).collect();
    SandboxInfo {
        id: sandbox.id,
        name: sandbox.name.clone(),
        created: sandbox.created.clone(),
        status: if sandbox.process.is_some() { "running" } else { "registered" }.to_owned(),
        hostname: sandbox.hostname.clone(),
        netns: sandbox.netns.clone(),
        netns_path: match &sandbox.netns {
            Netns::Shared(id) => view.sandboxes.get(id).and_then(|other| other.netns_path().cloned()),
            _ => sandbox.netns_path().cloned(),
        },
        process: sandbox.process,
        networks: networks.collect(),
        gateway_network: through(Family::V4),
        gateway_network6: through(Family::V6),
        ports: sandbox.ports.clone(),
        mounts: sandbox.mounts.iter().map(|mount| mount_info(root, mount)).collect(),
        dns: sandbox.dns.clone(),
        hosts: sandbox.hosts.clone(),
        labels: sandbox.labels.clone(),
        names: names::names(sandbox, &aliases),
        container: sandbox.container.clone(),
        files,
    }
}

fn mount_info(root: &Path, mount: &MountSpec) -> MountInfo {
    let source = mount.source.as_deref();
    let path = match mount.kind {
        MountKind::Volume => {
            source.and_then(|name| crate::model::Name::parse(name).ok()).map(|name| mountpoint(root, &name))
        }
        MountKind::Bind => source.map(Into::into),
        MountKind::Tmpfs => None,
    };
    MountInfo { spec: mount.clone(), path }
}

pub fn reservations(view: &View) -> Vec<Reservation> {
    let mut found: Vec<Reservation> = view.reservations.values().map(|r| Reservation::clone(r)).collect();
    found.sort_by(|a, b| a.created.cmp(&b.created));
    found
}

pub fn volumes(view: &View, root: &Path, filters: &Filters) -> Result<Vec<VolumeInfo>> {
    let filter = filters::Filter::parse(filters, &["name", "driver", "label", "dangling"])?;
    let mut found: Vec<_> = view.volumes.values().filter(|v| filter.volume(view, v)).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found.into_iter().map(|volume| volume_info(view, root, volume)).collect())
}

pub fn volume_info(view: &View, root: &Path, volume: &Arc<Volume>) -> VolumeInfo {
    let users = view.users(&volume.name).iter().map(|user| user.name.clone()).collect();
    VolumeInfo::of(volume, mountpoint(root, &volume.name), users)
}
