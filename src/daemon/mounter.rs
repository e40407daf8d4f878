//! `pontoon mounter`: carries out orders of a daemon that has no way to the host's mounts and to the files of volumes. Each
//! order is read as if an enemy had sent it. It keeps no state, asks nobody, and opens no connection.
use super::{Config, Options, start_log, volumes::LocalVolumes};
use crate::{
    engine::Volumes,
    error::{Error, Result},
    host::linux::{
        MountVolumes,
        channel::Channel,
        files::{Watch, remove_tree, resolve},
        handover::store::passed,
        mounter::{Order, accept, has_left, listen},
        namespace::{self, Home},
        privileges,
    },
    model::{Id, Name, kernel::VolumeMount},
};
use std::{
    cell::Cell,
    ffi::OsStr,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Orders at once; others wait. A dead file server holds one up for as long as the kernel likes.
const MOST: usize = 64;
/// Entries of a tree between two looks at whether the caller still waits.
const GLANCE: u32 = 512;

type Done = Result<(u64, Option<OwnedFd>)>;

/// What orders are about.
struct Ground {
    root: PathBuf,
    netns: PathBuf,
    volumes: LocalVolumes,
    home: Home,
}

/// Serves until it is ended; that may be at any moment.
pub fn run(options: Options) -> Result<()> {
    let config = Config::load(options)?;
    start_log(&config.log)?;
    let listener = match passed().listener {
        Some(listener) => OwnedFd::from(listener),
        None => {
            resolve::make_host_dirs(&config.run)?;
            listen(&config.mounter.clone().unwrap_or_else(|| config.run.join("mounter.sock")))?
        }
    };
    privileges::keep_only(privileges::mounter())?;
    let netns = config.run.join("netns");
    namespace::prepare_folder(&netns)?;
    let volumes = LocalVolumes::open(&config.root)?;
    let ground = Arc::new(Ground { root: config.root, netns, volumes, home: Home::here()? });
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    let busy = Arc::new(());
    loop {
        while Arc::strong_count(&busy) > MOST {
            std::thread::sleep(Duration::from_millis(5));
        }
        match accept(listener.as_fd()) {
            Ok(Some(caller)) => serve(&ground, &busy, caller),
            Ok(None) => tracing::warn!("a caller that is not root was sent away"),
            Err(error) => {
                tracing::warn!(%error, "an order may be late");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn serve(ground: &Arc<Ground>, busy: &Arc<()>, caller: Channel) {
    let (ground, busy) = (ground.clone(), busy.clone());
    let work = move || {
        let _busy = busy;
        let done = caller.receive().and_then(|order| match order {
            Some((order, with)) => ground.carry_out(order, with, &caller),
            None => Err(Error::invalid("no order came")),
        });
        let (answer, descriptor) = match done {
            Ok((number, descriptor)) => (Ok(number), descriptor),
            Err(error) => (Err(error), None),
        };
        // Whoever is gone needs no answer.
        let _ = caller.send::<Result<u64>>(&answer, descriptor.as_ref().map(AsFd::as_fd));
    };
    if let Err(error) = std::thread::Builder::new().name("order".to_owned()).spawn(work) {
        tracing::warn!(%error, "there is no thread for an order");
    }
}

impl Ground {
    fn carry_out(&self, order: Order, with: Option<OwnedFd>, caller: &Channel) -> Done {
        let volumes = &self.volumes;
        match order {
            Order::Greet {} => Ok(()),
            Order::Prepare {} => namespace::prepare_folder(&self.netns),
            Order::GiveUp {} => namespace::give_up_folder(&self.netns),
            Order::Hold { name } => self.hold(&name, with),
            Order::LetGo { name } => namespace::remove(&self.namespace(&name)),
            Order::NamespaceOf { pid } => return self.namespace_of(pid),
            Order::CreateVolume { name } => volumes.create_named(&name),
            Order::RemoveVolume { name } => volumes.remove(&name),
            Order::SyncRemoved {} => volumes.sync_removed(),
            Order::Mount { name, options, address } => {
                volumes.mount_at(&VolumeMount { volume: name.to_string(), options }, address)
            }
            Order::Unmount { name } => MountVolumes::unmount(volumes, name.as_str()),
            Order::Settle { name } => volumes.settle_named(&name),
            Order::Usage { name } => return self.usage(&name, caller),
            Order::BindSource { path, make } => match path.is_absolute() {
                true => volumes.bind_source(&path, make),
                false => Err(Error::invalid(format!("bind source {} is not absolute", path.display()))),
            },
            Order::ForgetRun { id } => self.forget_run(id),
        }
        .map(|()| (0, None))
    }

    fn namespace(&self, name: &Name) -> PathBuf {
        self.netns.join(name.as_str())
    }

    fn hold(&self, name: &Name, with: Option<OwnedFd>) -> Result<()> {
        let given =
            with.ok_or_else(|| Error::invalid("hold a network namespace: no descriptor came along"))?;
        namespace::check(given.as_fd(), Path::new(name.as_str()), &self.home)?;
        namespace::hold(&self.namespace(name), given.as_fd())
    }

    fn namespace_of(&self, pid: i32) -> Done {
        let path = namespace::of_process(pid);
        Ok((0, Some(namespace::open(&path, &self.home)?)))
    }

    fn usage(&self, name: &Name, caller: &Channel) -> Done {
        let (steps, gone) = (Cell::new(0u32), Cell::new(false));
        let go_on = || {
            steps.set(steps.get().wrapping_add(1));
            if steps.get() % GLANCE == 0 {
                gone.set(has_left(caller));
            }
            !gone.get()
        };
        Ok((self.volumes.usage(name, &go_on)?, None))
    }

    fn forget_run(&self, id: Id) -> Result<()> {
        let runs = resolve::open_child_dir(resolve::open_root(&self.root)?, OsStr::new("run"))?;
        remove_tree(&runs, OsStr::new(&id.to_string()), Watch::none()).map(drop)
    }
}
