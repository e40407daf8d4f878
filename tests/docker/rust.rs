//! bollard, the Docker client of crates.io: its network and volume calls, from create to prune, and what it reads around them.
use crate::world::{World, world};
use bollard::{
    API_DEFAULT_VERSION, Docker,
    errors::Error,
    query_parameters::{
        InspectNetworkOptions, ListContainersOptions, ListNetworksOptions, ListVolumesOptions,
        PruneVolumesOptions, RemoveVolumeOptions,
    },
};
use serde_json::{Value, from_value, json};
use std::collections::HashMap;

#[test]
fn bollard() {
    world(|w| {
        w.sandbox_with("web", json!({ "ports": [{ "port": 80, "host_port": 8080 }] }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let docker = connect(w).await;
            surroundings(&docker).await;
            networks(&docker).await;
            volumes(&docker).await;
        });
    });
}

async fn connect(w: &World) -> Docker {
    let path = w.daemon.socket().display().to_string();
    let docker = Docker::connect_with_unix(&path, 30, API_DEFAULT_VERSION).expect("a client");
    docker.negotiate_version().await.expect("a version that both speak")
}

/// A typed request of its JSON.
fn of<T: serde::de::DeserializeOwned>(value: Value) -> T {
    from_value(value).expect("a request")
}

fn status<T: std::fmt::Debug>(result: Result<T, Error>) -> u16 {
    match result {
        Err(Error::DockerResponseServerError { status_code, .. }) => status_code,
        other => panic!("not refused: {other:?}"),
    }
}

async fn surroundings(docker: &Docker) {
    assert_eq!(docker.ping().await.expect("ping"), "OK");
    assert_eq!(docker.version().await.expect("version").api_version.as_deref(), Some("1.51"));
    let info = docker.info().await.expect("info");
    assert!(info.mem_total.is_some_and(|bytes| bytes > 1 << 20) && info.containers == Some(1), "{info:?}");
    let list = docker.list_containers(None::<ListContainersOptions>).await.expect("containers");
    assert_eq!(list[0].names.as_deref(), Some(&["/web".to_owned()][..]));
    assert_eq!(list[0].ports.as_ref().and_then(|ports| ports[0].public_port), Some(8080));
    let web = docker.inspect_container("web", None).await.expect("inspect");
    assert_eq!(web.state.and_then(|state| state.running), Some(true));
}

async fn networks(docker: &Docker) {
    let request = json!({ "Name": "net", "Driver": "bridge", "Labels": { "a": "b" }, "Options": { "x": "y" },
        "IPAM": { "Config": [{ "Subnet": "10.61.0.0/16", "IPRange": "10.61.8.0/24", "Gateway": "10.61.0.1" }] } });
    let id = docker.create_network(of(request.clone())).await.expect("create").id;
    assert_eq!(status(docker.create_network(of(request)).await), 409);
    let filters = HashMap::from([("label".to_owned(), vec!["a=b".to_owned()])]);
    let list =
        docker.list_networks(Some(ListNetworksOptions { filters: Some(filters) })).await.expect("list");
    assert_eq!(list.iter().map(|net| net.id.clone()).collect::<Vec<_>>(), [Some(id.clone())]);
    let seat = json!({ "Container": "web", "EndpointConfig": { "Aliases": ["www"], "IPAMConfig": { "IPv4Address": "10.61.8.9" } } });
    docker.connect_network("net", of(seat.clone())).await.expect("connect");
    assert_eq!(status(docker.connect_network("net", of(seat)).await), 403);
    let shown = docker.inspect_network(&id[..12], None::<InspectNetworkOptions>).await.expect("inspect");
    let member = shown.containers.and_then(|all| all.into_values().next()).expect("a member");
    assert_eq!(member.ipv4_address.as_deref(), Some("10.61.8.9/16"));
    assert_eq!(status(docker.remove_network("net").await), 403);
    docker.disconnect_network("net", of(json!({ "Container": "web" }))).await.expect("disconnect");
    docker.remove_network("net").await.expect("remove");
    assert_eq!(status(docker.inspect_network("net", None::<InspectNetworkOptions>).await), 404);
    docker.create_network(of(json!({ "Name": "other", "Internal": true }))).await.expect("create");
    let pruned = docker.prune_networks(None).await.expect("prune");
    assert_eq!(pruned.networks_deleted, Some(vec!["other".to_owned()]));
}

async fn volumes(docker: &Docker) {
    let create = |request: Value| async {
        docker.create_volume(of::<bollard::models::VolumeCreateRequest>(request)).await.expect("create")
    };
    let data = create(json!({ "Name": "data", "Driver": "local", "Labels": { "a": "b" } })).await;
    assert!(data.mountpoint.ends_with("/volumes/data/_data"), "{data:?}");
    assert_eq!(create(json!({ "Name": "data" })).await.labels, data.labels);
    let filters = HashMap::from([("dangling".to_owned(), vec!["true".to_owned()])]);
    let options = ListVolumesOptions { filters: Some(filters) };
    let list = docker.list_volumes(Some(options)).await.expect("list").volumes.expect("volumes");
    assert_eq!(list.iter().map(|volume| volume.name.as_str()).collect::<Vec<_>>(), ["data"]);
    docker.remove_volume("data", None::<RemoveVolumeOptions>).await.expect("remove");
    assert_eq!(status(docker.inspect_volume("data").await), 404);
    let anonymous = create(json!({})).await.name;
    let pruned = docker.prune_volumes(None::<PruneVolumesOptions>).await.expect("prune");
    assert_eq!(pruned.volumes_deleted, Some(vec![anonymous]));
    assert!(docker.df(None).await.is_ok());
}
