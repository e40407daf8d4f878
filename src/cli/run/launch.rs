//! From a sandbox to a running command: what the daemon says of it becomes a `Launch`. It starts nothing before the
//! daemon knows the process, and never runs in the daemon.
use super::{FAILED, RunArgs, Sandbox};
use crate::{
    error::{Error, Result},
    host::linux::launch::{Failure, Launch, ResolvedMount, Source},
    model::{
        Command, MountSpec,
        command::Nothing,
        mount::MountKind,
        reply::{MountInfo, SandboxInfo, SystemInfo},
        sandbox::Netns,
        volume::LOCAL,
    },
};
use std::{ffi::OsString, path::PathBuf};

/// Refuses what can only fail, before anything is made.
pub fn check() -> Result<()> {
    match nix::unistd::geteuid().is_root() {
        true => Ok(()),
        false => Err(Error::denied("pontoon run makes namespaces and mounts and needs root: use sudo")),
    }
}

/// Starts the command in the sandbox and waits for it, unless detached. An error comes with the exit code.
pub fn launch(
    args: &RunArgs,
    env: Vec<(OsString, OsString)>,
    sandbox: &Sandbox<'_>,
) -> Result<u8, (Error, u8)> {
    let run = || -> Result<i32, Failure> {
        let launch = describe(args, env, sandbox)?;
        let mut running = launch.start(&mut |pid| tell(pid, sandbox))?;
        running.go()?;
        running.wait()
    };
    match run() {
        Ok(code) => Ok(u8::try_from(code).unwrap_or(FAILED)),
        Err(failure) => Err((failure.error, u8::try_from(failure.code).unwrap_or(FAILED))),
    }
}

fn tell(pid: i32, sandbox: &Sandbox<'_>) -> Result<()> {
    let pid = u32::try_from(pid).map_err(|_| Error::internal("a process without number"))?;
    sandbox.started(pid)
}

/// All that the daemon says of the sandbox, and what the command line adds.
pub fn describe(args: &RunArgs, env: Vec<(OsString, OsString)>, sandbox: &Sandbox<'_>) -> Result<Launch> {
    let info = sandbox.inspect()?;
    let system: SystemInfo = sandbox.client.call(&Command::SystemInfo(Nothing {}))?;
    let files = info.files.clone().ok_or_else(|| {
        Error::internal(format!("the daemon gave no resolv.conf and hosts for sandbox {}", info.name))
    })?;
    Ok(Launch {
        netns: netns(&info)?,
        rootfs: args.rootfs.clone(),
        read_only_root: args.read_only,
        scratch: system.root.join("run").join(&sandbox.id),
        mounts: info.mounts.iter().map(|mount| resolve(mount, sandbox)).collect::<Result<_>>()?,
        hide: vec![system.root, system.run],
        hostname: info.hostname,
        resolv_conf: files.resolv_conf,
        hosts: files.hosts,
        command: args.command.clone(),
        env,
        workdir: args.workdir.clone(),
        user: args.user.clone(),
        tty: args.tty,
        interactive: args.interactive,
        detach: args.detach,
        forget_log: args.flags.rm,
    })
}

fn netns(info: &SandboxInfo) -> Result<Option<PathBuf>> {
    match (&info.netns, &info.netns_path) {
        (Netns::Host, _) => Ok(None),
        (_, Some(path)) => Ok(Some(path.clone())),
        (_, None) => Err(Error::internal(format!("sandbox {} has no network namespace", info.name))),
    }
}

fn resolve(mount: &MountInfo, sandbox: &Sandbox<'_>) -> Result<ResolvedMount> {
    let spec = &mount.spec;
    let path =
        || mount.path.clone().ok_or_else(|| Error::internal(format!("the daemon gave no path for {spec}")));
    let source = match spec.kind {
        MountKind::Bind => Source::Bind { path: path()?, create: spec.create_source },
        MountKind::Volume => Source::Volume {
            home: home(spec, &path()?, sandbox)?,
            data: path()?,
            subpath: spec.subpath.clone(),
            copy_up: !spec.no_copy,
        },
        MountKind::Tmpfs => Source::Tmpfs {
            size: spec.tmpfs_size,
            mode: spec.tmpfs_mode,
            options: spec.tmpfs_options.clone(),
        },
    };
    Ok(ResolvedMount {
        source,
        target: spec.target.clone(),
        read_only: spec.read_only,
        propagation: spec.propagation,
        non_recursive: spec.non_recursive,
        label: spec.to_string(),
    })
}

/// A local volume's own directory is around its data; a plugin's volume has none that is ours.
fn home(spec: &MountSpec, data: &std::path::Path, sandbox: &Sandbox<'_>) -> Result<Option<PathBuf>> {
    let Some(name) = &spec.source else { return Ok(None) };
    let volume = sandbox.volume(name)?;
    let own = volume.driver == LOCAL;
    Ok(data.parent().filter(|_| own).map(PathBuf::from))
}
