//! docker-py from PyPI against our socket: integration/docker/test.py, run by the Python that PONTOON_DOCKER_PY names.
use crate::world::{
    tool::{skip, try_run},
    world,
};

#[test]
fn docker_py() {
    world(|w| {
        let python = std::env::var("PONTOON_DOCKER_PY").unwrap_or_else(|_| "/usr/bin/python3".to_owned());
        if !try_run("env", &[&python, "-c", "import docker"]).0 {
            skip(
                "Python's module docker is missing: apt install python3-docker, or PONTOON_DOCKER_PY=PYTHON",
            );
        }
        w.sandbox("web", &["bridge"]);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/integration/docker/test.py");
        let (fine, text) = try_run(&python, &[script, &format!("unix://{}", w.daemon.socket().display())]);
        assert!(fine && text.contains("all well"), "{text}");
    });
}
