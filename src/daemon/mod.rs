//! Puts the rooms together and runs them: configuration in, one process out. Decides nothing about networks.
mod adapters;
mod config;
mod estate;
mod far_volumes;
mod home;
mod ledger;
mod measures;
mod mounter;
mod probe;
mod succession;
mod until_idle;
mod volumes;

pub use crate::host::linux::{handover::keeper::NAME as KEEPER, trial::NAME as READER};
pub use config::{Config, Options};
pub use ledger::read_ahead;
pub use mounter::run as mount_for;
pub use succession::keep;

use crate::{
    api::{self, Doorways, Metrics, listen::listen},
    engine::{Engine, Events, Message, Parts, Published, Settings, Volumes},
    error::{Error, Result},
    host::{
        Suspect,
        linux::{
            Claim, Linux, MountVolumes,
            handover::{
                Parcel,
                store::{Passed, passed},
            },
            memory,
            mounter::{self as order, Order},
            privileges, prompt,
        },
    },
    ipam::Ephemeral,
    model::{Event, Id},
    store::Told,
};
use adapters::Names;
use far_volumes::FarVolumes;
use measures::Measures;
use std::{
    collections::BTreeMap,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::net::UnixListener,
    },
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
};
use succession::{Inheritance, Service};
use tokio::signal::unix::{SignalKind, signal};
use volumes::LocalVolumes;

/// Descriptors that the table has room for from the start.
const DESCRIPTORS: i32 = 8_192;

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
    let Passed { listener, kept } = passed();
    config.mounter.iter().for_each(|socket| order::choose(socket.clone()));
    privileges::keep_only(privileges::daemon(config.mounter.is_some()))?;
    for folder in [&config.root, &config.run] {
        std::fs::create_dir_all(folder)
            .map_err(|error| Error::os(format!("make {}", folder.display()), &error))?;
    }
    // One thread for all doorways: a call waits for the engine, not for us, and with two workers every call woke both.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(16)
        .thread_name("doorway")
        .thread_stack_size(512 << 10)
        .enable_all()
        .build()
        .map_err(|error| Error::os("start the runtime", &error))?;
    let (engine, thread, metrics, _claim, service) = start(&config, kept)?;
    let served = runtime.block_on(serve(&config, listener, engine.clone(), metrics));
    engine.stop();
    if thread.join().is_err() {
        return Err(Error::internal("the engine's thread ended badly"));
    }
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    service.leave(&config);
    if served? {
        until_idle::vanish(&config);
    }
    Ok(())
}

type Started = (Engine, std::thread::JoinHandle<()>, Metrics, Claim, Service);

fn start(config: &Config, kept: Option<Parcel>) -> Result<Started> {
    let claim = crate::host::linux::claim(&config.instance)?;
    let (ledger, contents, told) = ledger::open(&ledger_file(&config.root), &now())?;
    let events = Arc::new(Events::default());
    if let Some(told) = &told {
        tracing::error!("{}", told.message);
        events.publish(of_the_ledger(&config.instance, told));
    }
    let (volumes, mounts) = volumes(config)?;
    forget_runs(&config.root, &contents);
    let queue = mpsc::channel();
    let ended: mpsc::Sender<Message> = queue.0.clone();
    let tell = move |sandbox| {
        let cause = "its process or its network namespace has gone".to_owned();
        let _ = ended.send(Message::Ended { sandbox, cause });
    };
    let drift: mpsc::Sender<Message> = queue.0.clone();
    let published = Arc::new(Published::default());
    let shown = published.clone();
    let tell_drift = move |mut suspects: BTreeMap<Suspect, String>| {
        shown.view.load().sift(&mut suspects);
        if !suspects.is_empty() {
            let _ = drift.send(Message::Drifted { suspects });
        }
    };
    let host = Linux::open(
        &config.instance,
        &config.run,
        mounts,
        Box::new(tell),
        config.foreign,
        Box::new(tell_drift),
    )?;
    let (adopted, holds) = (host.adopted(), host.holds());
    // Only now: this daemon is the instance's.
    let mut inheritance = Inheritance::find(config, kept);
    inheritance.hand_out(&adopted, &holds);
    let names = Arc::new(Names::start(config, published.names.clone(), host.sockets()?)?);
    let probe = Arc::new(probe::Inside::new(config, now(), told));
    let service = Service { dns: names.dns.clone(), names: published.names.clone(), holds };
    let measures = Measures {
        names: names.clone(),
        commits: ledger.commits(),
        events: events.clone(),
        published: published.clone(),
    };
    let parts = Parts {
        queue,
        host: Box::new(host),
        ledger: Box::new(ledger),
        contents,
        resolvers: names,
        volumes,
        published,
        events,
        root: config.root.clone(),
        settings: settings(config)?,
        clock: now,
    };
    let (engine, thread) = Engine::start(parts, probe)?;
    inheritance.go_on(&adopted, &service);
    // Who takes part in a call, from its request to its answer; resolvers and relays have enough of their own to do.
    prompt::threads(&["engine", "ledger", "pontoon-reaper", "pontoon-gone"]);
    Ok((engine, thread, Metrics::new(vec![Box::new(move |page| measures.write(page))]), claim, service))
}

/// Whoever has the files of volumes: this process, or the mounter.
fn volumes(config: &Config) -> Result<(Arc<dyn Volumes>, Arc<dyn MountVolumes>)> {
    if config.mounter.is_some() {
        let far = Arc::new(FarVolumes { volumes: config.root.join("volumes") });
        return Ok((far.clone(), far));
    }
    let local = Arc::new(LocalVolumes::open(&config.root)?);
    Ok((local.clone(), local))
}

fn ledger_file(root: &Path) -> PathBuf {
    root.join("state.redb")
}

fn of_the_ledger(instance: &str, told: &Told) -> Event {
    Event {
        time: now(),
        object: "daemon".to_owned(),
        action: told.action.to_owned(),
        id: instance.to_owned(),
        name: instance.to_owned(),
        cause: told.message.clone(),
        attributes: BTreeMap::new(),
    }
}

/// What `pontoon run` left of sandboxes that are no more: the logs of detached ones, and after a power failure the rest.
fn forget_runs(root: &Path, contents: &crate::store::Contents) {
    let Ok(entries) = std::fs::read_dir(root.join("run")) else { return };
    let alive = |id: &Id| contents.sandboxes.iter().any(|sandbox| sandbox.id == *id);
    for entry in entries.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| Id::parse(name).ok()) else { continue };
        if alive(&id) {
            continue;
        }
        let forgotten = match order::is_chosen() {
            true => order::ask(&Order::ForgetRun { id }, None).map(drop),
            false => crate::host::linux::launch::clean(&entry.path()),
        };
        if let Err(error) = forgotten {
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
async fn serve(
    config: &Config,
    passed: Option<UnixListener>,
    engine: Engine,
    metrics: Metrics,
) -> Result<bool> {
    let failed = |error: std::io::Error| Error::os("listen for signals", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let given = passed.is_some();
    let listener = match passed {
        Some(listener) => listener,
        None => listen(&config.socket, config.group.as_deref())?,
    };
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::UnixListener::from_std(listener).map_err(failed)?;
    home::note(config)?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let doorways = Doorways { engine: engine.clone(), metrics: Arc::new(metrics) };
    let as_plugin =
        config.plugin_socket.as_deref().filter(|path| listen_as_plugin(path, &doorways, &stopped));
    let serving = tokio::spawn(api::serve(listener, doorways, stopped));
    tracing::info!(socket = %config.socket.display(), instance = config.instance, "ready");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    memory::give_back();
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
    make_room_for_descriptors();
}

/// Makes the table of descriptors as large as 1,600 sandboxes need it (64 KiB). It is doubled as it fills, and with a second
/// thread there each time takes a grace period (expand_fdtable, fs/file.c): the 50th, the 100th and the 200th attach waited
/// 16 ms for it. So this comes before the first thread.
fn make_room_for_descriptors() {
    use nix::fcntl::{FcntlArg, fcntl};
    // A lower limit has no room to give.
    let _ = std::fs::File::open("/dev/null").map(|file| {
        let far = fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(DESCRIPTORS - 1));
        // SAFETY: the kernel just returned this descriptor and nobody else knows it.
        far.map(|far| drop(unsafe { OwnedFd::from_raw_fd(far) }))
    });
}
