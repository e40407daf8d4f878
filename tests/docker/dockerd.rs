//! A real dockerd (Debian's docker.io) in a network namespace of its own, with the container `box` and the volume `busy`
//! in it: the judge of what our answers should look like.
use crate::world::{need, run, tool::skip};
use std::{
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const HOME: &str = "/run/dockerd";
const PROGRAMS: &[&str] = &["dockerd", "docker", "busybox", "runc", "containerd"];

pub struct Dockerd {
    child: Child,
}

impl Dockerd {
    /// Started, with `box` running on its default network; a skip where it cannot run.
    pub fn start() -> Self {
        need(PROGRAMS);
        run("ip", &["netns", "add", "dockerd"]);
        let dockerd = Dockerd::bare("{}");
        dockerd.import();
        let run = "run -d --name box -h box -p 127.0.0.1:8080:80 -v busy:/data --label a=b sandbox busybox sleep 1000";
        dockerd.docker(&run.split(' ').collect::<Vec<_>>());
        dockerd
    }

    /// Started in the namespace `dockerd`, which is there, with this configuration and nothing in it.
    pub fn bare(configuration: &str) -> Self {
        need(PROGRAMS);
        fs::create_dir_all(HOME).expect("folder");
        fs::write(format!("{HOME}/conf.json"), configuration).expect("configuration");
        let log = File::create(format!("{HOME}/log")).expect("log");
        // `ip netns exec` gives it mounts of its own, and a /sys without cgroups.
        let script = format!(
            "mount -t cgroup2 none /sys/fs/cgroup; ip link set lo up; exec dockerd -H unix://{HOME}/sock \
             --config-file {HOME}/conf.json --data-root {HOME}/root --exec-root {HOME}/exec -p {HOME}/pid \
             --storage-driver vfs"
        );
        let child = Command::new("ip")
            .args(["netns", "exec", "dockerd", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("start dockerd");
        let mut dockerd = Dockerd { child };
        dockerd.wait();
        dockerd
    }

    pub fn socket(&self) -> PathBuf {
        Path::new(HOME).join("sock")
    }

    fn wait(&mut self) {
        let start = Instant::now();
        while UnixStream::connect(self.socket()).is_err() {
            let ended = self.child.try_wait().expect("wait").is_some();
            if ended || start.elapsed() > Duration::from_secs(60) {
                let log = fs::read_to_string(format!("{HOME}/log")).unwrap_or_default();
                skip(&format!("dockerd does not run here:\n{log}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The image `sandbox`: busybox alone.
    pub fn import(&self) {
        let image = format!("{HOME}/image");
        fs::create_dir_all(format!("{image}/bin")).expect("folder");
        fs::create_dir_all(format!("{image}/data")).expect("folder");
        fs::copy("/bin/busybox", format!("{image}/bin/busybox")).expect("busybox");
        run("tar", &["-C", &image, "-cf", &format!("{image}.tar"), "."]);
        self.docker(&["import", &format!("{image}.tar"), "sandbox"]);
    }

    /// Output of the `docker` program.
    pub fn docker(&self, args: &[&str]) -> String {
        let host = format!("unix://{}", self.socket().display());
        run("docker", &[&["-H", &host], args].concat())
    }

    /// These containers removed, and ended.
    pub fn leave(mut self, containers: &[&str]) {
        self.docker(&[&["rm", "-f"], containers].concat());
        self.end();
        run("ip", &["netns", "del", "dockerd"]);
    }

    fn end(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("pid"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        self.end();
    }
}
