//! `_ping`, `/version` and `/system/df`: what clients ask before and around the real calls. Measures nothing itself.
use super::{asked::Asked, containers, volumes, wire};
use crate::{
    api::{
        Doorways,
        reply::{self, Answer},
    },
    error::{Error, Result},
    model::{
        Command, Reply,
        command::Nothing,
        reply::{Df, SystemInfo},
    },
};
use hyper::{
    Method, StatusCode,
    header::{HeaderName, HeaderValue},
};
use serde_json::{Value, json};

/// Also asked without a version, before one is agreed on.
const PING: [(&str, &str); 4] = [
    ("builder-version", "1"),
    ("swarm", "inactive"),
    ("cache-control", "no-cache, no-store, must-revalidate"),
    ("pragma", "no-cache"),
];

pub fn ping(method: &Method) -> Answer {
    let text: &'static [u8] = if method == Method::HEAD { b"" } else { b"OK" };
    let mut answer = reply::bytes(StatusCode::OK, "text/plain; charset=utf-8", text.into());
    for (name, value) in PING {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

pub async fn system_info(doorways: &Doorways) -> Result<Box<SystemInfo>> {
    match doorways.run(Command::SystemInfo(Nothing {})).await? {
        Reply::Info(info) => Ok(info),
        _ => Err(wire::astray()),
    }
}

/// Go's name of this machine's architecture.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

pub async fn version(doorways: &Doorways) -> Result<Answer> {
    let info = system_info(doorways).await?;
    let (version, arch) = (&info.version, architecture());
    let details = json!({
        "ApiVersion": wire::API, "MinAPIVersion": wire::OLDEST_API, "Os": "linux", "Arch": arch,
        "KernelVersion": info.kernel, "Experimental": "false", "GitCommit": "", "GoVersion": "", "BuildTime": "",
    });
    Ok(wire::ok(&json!({
        "Platform": { "Name": "Pontoon" },
        "Components": [{ "Name": "Engine", "Version": version, "Details": details }],
        "Version": version,
        "ApiVersion": wire::API,
        "MinAPIVersion": wire::OLDEST_API,
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": arch,
        "KernelVersion": info.kernel,
        "Experimental": false,
        "BuildTime": "",
    })))
}

const THEMES: [&str; 4] = ["container", "image", "volume", "build-cache"];

pub async fn df(asked: &Asked<'_>, doorways: &Doorways) -> Result<Answer> {
    let wanted = asked.query.all("type");
    if let Some(other) = wanted.iter().find(|kind| !THEMES.contains(kind)) {
        return Err(Error::invalid(format!("unknown object type: {other}")));
    }
    let wants = |kind: &str| wanted.is_empty() || wanted.contains(&kind);
    let mut page = json!({ "LayersSize": 0, "BuilderSize": 0 });
    for (kind, key) in [("image", "Images"), ("build-cache", "BuildCache")] {
        page[key] = if wants(kind) { json!([]) } else { Value::Null };
    }
    page["Containers"] = if wants("container") { containers::all(doorways).await? } else { Value::Null };
    page["Volumes"] = if wants("volume") { measured(doorways).await? } else { Value::Null };
    Ok(wire::ok(&page))
}

/// All volumes with their sizes; -1 is what is not ours to measure.
async fn measured(doorways: &Doorways) -> Result<Value> {
    let Reply::Df(Df { volumes: usages, .. }) = doorways.run(Command::SystemDf(Nothing {})).await? else {
        return Err(wire::astray());
    };
    let all = volumes::all(doorways, Default::default()).await?;
    let shown = all.iter().map(|volume| {
        let mut shown = volumes::show(volume);
        let usage = usages.iter().find(|usage| usage.name == volume.name);
        let size = usage.and_then(|usage| usage.size).map_or(json!(-1), |size| json!(size));
        shown["UsageData"] = json!({ "Size": size, "RefCount": volume.users.len() });
        shown
    });
    Ok(shown.collect())
}
