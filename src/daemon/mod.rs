//! Puts the rooms together and runs them: configuration in, one process out. Decides nothing about networks.
mod adapters;
mod config;
mod probe;
mod until_idle;

pub use config::{Config, Options};

use crate::{
    api::{self, Doorways, Metrics, listen::listen},
    engine::{Engine, Events, Message, Parts, Published, Settings},
    error::{Error, Result},
    host::linux::{Claim, Linux, namespace},
    ipam::Ephemeral,
    store::RedbLedger,
};
use adapters::{LocalVolumes, Names};
use std::{
    path::Path,
    sync::{Arc, mpsc},
};
use tokio::signal::unix::{SignalKind, signal};

/// Runs a daemon until it is told to stop. It says READY when its socket answers.
pub fn run(options: Options) -> Result<()> {
    let config = Config::load(options)?;
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::denied(
            "`pontoon daemon` makes links, namespaces and mounts: run it as root, with sudo",
        ));
    }
    start_log(&config.log)?;
    raise_file_limit();
    for folder in [&config.root, &config.run] {
        std::fs::create_dir_all(folder)
            .map_err(|error| Error::os(format!("make {}", folder.display()), &error))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .thread_name("doorway")
        .thread_stack_size(512 << 10)
        .enable_all()
        .build()
        .map_err(|error| Error::os("start the runtime", &error))?;
    let (engine, thread, metrics, _claim) = start(&config)?;
    let served = runtime.block_on(serve(&config, engine.clone(), metrics));
    engine.stop();
    if thread.join().is_err() {
        return Err(Error::internal("the engine's thread ended badly"));
    }
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    if config.while_used.is_some() && served? {
        until_idle::vanish(&config);
    }
    Ok(())
}

fn start(config: &Config) -> Result<(Engine, std::thread::JoinHandle<()>, Metrics, Claim)> {
    let (ledger, contents, aside) = RedbLedger::open(&config.root.join("state.redb"), &now())?;
    if let Some(message) = aside {
        tracing::error!("{message}");
    }
    let claim = crate::host::linux::claim(&config.instance)?;
    let volumes = Arc::new(LocalVolumes::open(&config.root)?);
    forget_runs(&config.root, &contents);
    let queue = mpsc::channel();
    let ended: mpsc::Sender<Message> = queue.0.clone();
    let tell = move |sandbox| {
        let cause = "its process or its network namespace has gone".to_owned();
        let _ = ended.send(Message::Ended { sandbox, cause });
    };
    let drift: mpsc::Sender<Message> = queue.0.clone();
    let tell_drift = move |cause| drop(drift.send(Message::Drifted { cause }));
    let host =
        Linux::open(&config.instance, &config.run, volumes.clone(), Box::new(tell), Box::new(tell_drift))?;
    let published = Arc::new(Published::default());
    let names = Arc::new(Names::start(config, published.names.clone(), host.sockets()?)?);
    let probe = Arc::new(probe::Inside::new(config, now()));
    let extra = names.metrics();
    let parts = Parts {
        queue,
        host: Box::new(host),
        ledger: Box::new(ledger),
        contents,
        resolvers: names,
        volumes,
        published,
        events: Arc::new(Events::default()),
        root: config.root.clone(),
        settings: settings(config)?,
        clock: now,
    };
    let (engine, thread) = Engine::start(parts, probe)?;
    Ok((engine, thread, Metrics::new(vec![extra]), claim))
}

/// What `pontoon run` left of sandboxes that are no more: the logs of detached ones, and after a power failure the rest.
fn forget_runs(root: &Path, contents: &crate::store::Contents) {
    let Ok(entries) = std::fs::read_dir(root.join("run")) else { return };
    let alive = |name: &str| contents.sandboxes.iter().any(|sandbox| sandbox.id.to_string() == name);
    for entry in entries.flatten().filter(|entry| !entry.file_name().to_str().is_some_and(alive)) {
        if let Err(error) = crate::host::linux::launch::clean(&entry.path()) {
            tracing::warn!(%error, "what an old run left stays");
        }
    }
}

fn settings(config: &Config) -> Result<Settings> {
    let ephemeral = match crate::host::linux::sysctl::local_port_range() {
        Ok((first, last)) => Ephemeral::new(first, last, []),
        Err(_) => Ephemeral::default(),
    };
    Ok(Settings {
        instance: config.instance.clone(),
        netns_dir: config.run.join("netns"),
        pools: config.pools()?,
        ephemeral,
        strict_default_bridge: !config.default_bridge_names,
        default_bridge: config.while_used.is_none(),
        mtu: config.mtu,
    })
}

/// Until a signal comes, or (true) until nobody needs this instance any more.
async fn serve(config: &Config, engine: Engine, metrics: Metrics) -> Result<bool> {
    let failed = |error: std::io::Error| Error::os("listen for signals", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (listener, given) = match inherited() {
        Some(listener) => (listener, true),
        None => (listen(&config.socket, config.group.as_deref())?, false),
    };
    let listener = tokio::net::UnixListener::from_std(listener).map_err(failed)?;
    note_home(config)?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let doorways = Doorways { engine: engine.clone(), metrics: Arc::new(metrics) };
    let as_plugin =
        config.plugin_socket.as_deref().filter(|path| listen_as_plugin(path, &doorways, &stopped));
    let serving = tokio::spawn(api::serve(listener, doorways, stopped));
    tracing::info!(socket = %config.socket.display(), instance = config.instance, "ready");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let idle = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        closed = until_idle::wait(config, &engine) => Some(closed),
    };
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    let _ = stop.send(true);
    let _ = serving.await;
    as_plugin.into_iter().for_each(remove_socket);
    // A socket that systemd made stays: it starts us again when somebody calls.
    if !given {
        remove_socket(&config.socket);
    }
    // The lock is kept until the process ends: whoever waits for it finds nobody and starts anew.
    Ok(idle.map(std::mem::forget).is_some())
}

/// The same doorways once more, where an engine looks for plugins. Without it everything else works: a failure is only said.
fn listen_as_plugin(path: &Path, doorways: &Doorways, stopped: &tokio::sync::watch::Receiver<bool>) -> bool {
    let listener = listen(path, None).and_then(|listener| {
        tokio::net::UnixListener::from_std(listener).map_err(|error| Error::os("listen as a plugin", &error))
    });
    match listener {
        Ok(listener) => {
            tokio::spawn(api::serve(listener, doorways.clone(), stopped.clone()));
            true
        }
        Err(error) => {
            tracing::warn!(%error, "we are not found as a plugin");
            false
        }
    }
}

/// The socket that the service manager listens on for us (sd_listen_fds(3)), if there is one.
fn inherited() -> Option<std::os::unix::net::UnixListener> {
    use std::os::fd::FromRawFd;
    let fd = sd_notify::listen_fds().ok()?.next()?;
    // SAFETY: the service manager passed this descriptor to us, and nobody else in this process uses it.
    let listener = unsafe { std::os::unix::net::UnixListener::from_raw_fd(fd) };
    listener.set_nonblocking(true).ok()?;
    Some(listener)
}

/// Which network namespace of which boot is served here, beside the socket and in the root, which outlives a service's
/// run folder: it tells callers elsewhere from callers who miss a daemon that is down.
fn notes(config: &Config) -> Vec<std::path::PathBuf> {
    let folders = [Some(config.root.as_path()), config.socket.parent()];
    folders.into_iter().flatten().map(|folder| folder.join("home")).collect()
}

fn note_home(config: &Config) -> Result<()> {
    let (home, _) = namespace::inodes(None);
    let text = format!("{home} {}\n", namespace::boot());
    let failed = |path: &Path, error| Error::os(format!("write {}", path.display()), &error);
    notes(config).iter().try_for_each(|path| std::fs::write(path, &text).map_err(|error| failed(path, error)))
}

fn remove_socket(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(%error, socket = %path.display(), "the socket file stays");
    }
}

/// RFC 3339 with nanoseconds, UTC.
fn now() -> String {
    format!("{:.9}", jiff::Timestamp::now())
}

fn start_log(level: &str) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(level)
        .map_err(|error| Error::invalid(format!("invalid log level {level:?}")).because(error))?;
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // A second daemon in one process (tests) keeps the first one's log.
    let _ = log.with_ansi(terminal).try_init();
    Ok(())
}

/// Every published port is a descriptor: as many as we may have.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
