//! One machine with one daemon on it, which can be killed, restarted and rebooted.
use super::{
    Disk, command,
    rooms::{FakeProbe, FakeResolvers, FakeVolumes},
};
use pontoon::{
    engine::{Engine, Events, Message, Parts, Published, Settings},
    error::Result,
    host::fake::Kernel,
    ipam::{Ephemeral, default_pools},
    model::{
        Command, Event, Reply,
        command::Which,
        reply::{EndpointInfo, NetworkInfo, SandboxInfo, VolumeInfo},
    },
};
use serde_json::Value;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

pub struct World {
    pub kernel: Kernel,
    pub disk: Disk,
    pub volumes: FakeVolumes,
    pub settings: Settings,
    running: Option<Running>,
}

struct Running {
    queue: mpsc::Sender<Message>,
    engine: Engine,
    resolvers: Arc<FakeResolvers>,
    thread: JoinHandle<()>,
}

/// Every reading is a nanosecond later than the one before.
fn clock() -> String {
    static NOW: AtomicU64 = AtomicU64::new(0);
    format!("2026-01-01T00:00:00.{:09}Z", NOW.fetch_add(1, Ordering::Relaxed))
}

impl World {
    /// A fresh machine with a daemon that has started.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// Told otherwise than usual.
    pub fn with(adapt: impl FnOnce(&mut Settings)) -> Self {
        let kernel = Kernel::default();
        let mut settings = Settings {
            instance: "test".to_owned(),
            netns_dir: PathBuf::from("/run/pontoon/netns"),
            pools: default_pools(),
            ephemeral: Ephemeral::new(32_768, 60_999, []),
            strict_default_bridge: false,
            default_bridge: true,
            mtu: None,
        };
        adapt(&mut settings);
        let volumes = FakeVolumes::over(&kernel);
        let mut world = World { kernel, disk: Disk::default(), volumes, settings, running: None };
        world.start().expect("a daemon that starts");
        world
    }

    /// Starts a daemon over whatever is there.
    pub fn start(&mut self) -> Result<()> {
        self.start_dying(None)
    }

    /// The daemon dies after so many steps.
    pub fn start_dying(&mut self, after: Option<u64>) -> Result<()> {
        self.kill();
        let queue = mpsc::channel();
        let tell: mpsc::Sender<Message> = queue.0.clone();
        let notices = tell.clone();
        let ended = move |sandbox| {
            let _ = tell.send(Message::Ended { sandbox, cause: "it ended".to_owned() });
        };
        let host = self.kernel.daemon(ended);
        if let Some(steps) = after {
            self.kernel.crash_after(steps);
        }
        let resolvers = Arc::new(FakeResolvers::default());
        let parts = Parts {
            queue,
            host: Box::new(host),
            ledger: self.disk.ledger(&self.kernel),
            contents: self.disk.contents(),
            resolvers: resolvers.clone(),
            volumes: Arc::new(self.volumes.clone()),
            published: Arc::new(Published::default()),
            events: Arc::new(Events::default()),
            root: "/var/lib/pontoon".into(),
            settings: self.settings.clone(),
            clock,
        };
        let (engine, thread) = Engine::start(parts, Arc::new(FakeProbe))?;
        self.running = Some(Running { queue: notices, engine, resolvers, thread });
        Ok(())
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.kernel.kill();
        if let Some(running) = self.running.take() {
            running.engine.stop();
            running.thread.join().expect("a writer that ends well");
        }
    }

    pub fn restart(&mut self) {
        self.start().expect("a daemon that starts again");
    }

    pub fn reboot(&mut self) {
        self.kill();
        self.kernel.reboot();
        self.restart();
    }

    /// A boot after which the same numbers and paths are there again.
    pub fn reboot_keeping_namespaces(&mut self) {
        self.kill();
        self.kernel.next_boot();
        self.restart();
    }

    /// Ends the daemon in order.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.engine.stop();
            running.thread.join().expect("a writer that ends well");
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a daemon")
    }
    pub fn engine(&self) -> &Engine {
        &self.running().engine
    }
    /// Somebody is said to have changed what is ours.
    pub fn drifted(&self) {
        self.noticed(pontoon::host::Suspect::Everything);
    }
    pub fn noticed(&self, suspect: pontoon::host::Suspect) {
        let suspects = [(suspect, "somebody".to_owned())].into();
        self.running().queue.send(Message::Drifted { suspects }).expect("a writer");
    }
    /// After what the writer does behind its last answer.
    pub fn resolvers(&self) -> &FakeResolvers {
        self.settle();
        &self.running().resolvers
    }

    pub fn run(&self, command: Command) -> Result<Reply> {
        self.engine().execute(command, &|_| true)
    }
    pub fn call(&self, method: &str, body: Value) -> Result<Reply> {
        self.run(command(method, body))
    }
    /// A call that has to succeed.
    pub fn ok(&self, method: &str, body: Value) -> Reply {
        let shown = format!("{method} {body}");
        self.call(method, body).unwrap_or_else(|error| panic!("{shown}: {error}"))
    }
    /// The words of a refusal.
    pub fn refused(&self, method: &str, body: Value) -> String {
        let shown = format!("{method} {body}");
        match self.call(method, body) {
            Ok(reply) => panic!("{shown} was done: {reply:?}"),
            Err(error) => error.to_string(),
        }
    }

    pub fn network(&self, name: &str) -> NetworkInfo {
        match self.run(Command::NetworkInspect(Which::new(name))) {
            Ok(Reply::Network(info)) => *info,
            other => panic!("network {name}: {other:?}"),
        }
    }
    pub fn sandbox(&self, name: &str) -> SandboxInfo {
        match self.run(Command::SandboxInspect(Which::new(name))) {
            Ok(Reply::Sandbox(info)) => *info,
            other => panic!("sandbox {name}: {other:?}"),
        }
    }
    pub fn volume(&self, name: &str) -> VolumeInfo {
        match self.run(Command::VolumeInspect(Which::new(name))) {
            Ok(Reply::Volume(info)) => info,
            other => panic!("volume {name}: {other:?}"),
        }
    }
    pub fn has_sandbox(&self, name: &str) -> bool {
        self.engine().view().find_sandbox(name).is_ok()
    }
    pub fn seat(&self, sandbox: &str, network: &str) -> EndpointInfo {
        let info = self.sandbox(sandbox);
        let seat = info.networks.iter().find(|seat| seat.network.as_str() == network);
        seat.unwrap_or_else(|| panic!("{sandbox} has no seat in {network}")).clone()
    }
    /// First address of a sandbox in a network, as text without its length.
    pub fn address(&self, sandbox: &str, network: &str) -> String {
        self.seat(sandbox, network).addresses[0].address.to_string()
    }
    pub fn events(&self) -> Vec<Arc<Event>> {
        self.engine().events.listen(Some("2026-01-01T00:00:00Z")).0
    }
    /// Waits for whatever was told to the writer before. The first refusal may share a batch with it and come early; the
    /// second one is of a later batch.
    pub fn settle(&self) {
        for _ in 0..2 {
            let _ = self.call("Sandbox.Start", serde_json::json!({"name": "nobody", "pid": 1}));
        }
    }
    /// Waits until what has been told to the writer shows.
    pub fn until(&self, what: &str, there: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !there(self) {
            assert!(start.elapsed() < Duration::from_secs(10), "{what}: not within 10 s");
            std::thread::sleep(Duration::from_millis(1));
        }
        // The view is published first: events, burials and files of the same turn come behind it.
        self.settle();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.kill();
        }
    }
}
