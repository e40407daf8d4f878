//! `pontoon run --bundle DIR`: the sandbox is ours, the container is a runtime's. Flags become changes of the bundle's
//! configuration, in a copy of it.
use super::{FAILED, RunArgs, Sandbox, launch};
use crate::{
    error::{Error, Result},
    host::linux::launch::{self as host, Failure, Launch, ResolvedMount, Source},
    model::mount::{Propagation, ReadOnly},
    oci::bundle::{self, Changes, Mount},
};
use serde_json::Value;
use std::{ffi::OsString, fs, path::Path};

type Env = Vec<(OsString, OsString)>;

/// Runs the container to its end, or with `--detach` to its beginning.
pub fn run(args: &RunArgs, folder: &Path, env: Env, sandbox: &Sandbox<'_>) -> Result<u8, (Error, u8)> {
    let code = start(args, folder, env, sandbox).map(|code| u8::try_from(code).unwrap_or(FAILED));
    code.map_err(|failure| (failure.error, u8::try_from(failure.code).unwrap_or(FAILED)))
}

fn start(args: &RunArgs, folder: &Path, env: Env, sandbox: &Sandbox<'_>) -> Result<i32, Failure> {
    if args.detach && args.tty {
        return Err(
            Error::unsupported("--bundle with --detach and --tty: a runtime wants a console socket").into()
        );
    }
    let folder = fs::canonicalize(folder)
        .map_err(|error| Error::os(format!("open the bundle {}", folder.display()), &error))?;
    let mut config = bundle::read(&folder)?;
    let launch = launch::describe(args, env, sandbox)?;
    let scratch = launch.scratch.clone();
    let outcome = configure(&mut config, &launch, &scratch)
        .map_err(Failure::from)
        .and_then(|()| carry_out(args, sandbox, &scratch));
    if !args.detach || outcome.is_err() {
        // A container that runs needs its files, and its log is of use.
        host::clean(&scratch)?;
    }
    outcome
}

fn configure(config: &mut Value, launch: &Launch, scratch: &Path) -> Result<()> {
    bundle::change(config, &changes(launch, scratch)?)?;
    host::bundle::prepare(launch, &bundle::root(config))?;
    let path = scratch.join("config.json");
    fs::write(&path, config.to_string())
        .map_err(|error| Error::os(format!("write {}", path.display()), &error))
}

fn carry_out(args: &RunArgs, sandbox: &Sandbox<'_>, scratch: &Path) -> Result<i32, Failure> {
    let name = sandbox.inspect()?.name.to_string();
    let number = scratch.join("pid");
    let mut words: Vec<OsString> = vec!["run".into(), "--bundle".into(), scratch.into()];
    if args.detach {
        words.extend(["--detach".into(), "--pid-file".into(), number.clone().into()]);
    }
    words.push(name.into());
    let log = args.detach.then(|| scratch.join(host::LOG));
    let started = |pid: u32| if args.detach { Ok(()) } else { sandbox.started(pid) };
    let code = host::bundle::run(&args.runtime, &words, log.as_deref(), started)?;
    if !args.detach {
        return Ok(code);
    }
    if code != 0 {
        let said = log.and_then(|log| fs::read_to_string(log).ok()).unwrap_or_default();
        let error = Error::internal(format!("{} ended with exit code {code}", args.runtime.display()));
        return Err(error.because(said.lines().last().unwrap_or("it said nothing")).into());
    }
    let pid = fs::read_to_string(&number).ok().and_then(|text| text.trim().parse().ok());
    let pid = pid.ok_or_else(|| Error::internal(format!("{} has written no pid", args.runtime.display())))?;
    sandbox.started(pid)?;
    Ok(0)
}

fn changes(launch: &Launch, scratch: &Path) -> Result<Changes> {
    let text = |text: &OsString| {
        let text = text.clone().into_string();
        text.map_err(|text| Error::invalid(format!("{} is no UTF-8, which JSON needs", text.display())))
    };
    let pair = |(key, value): &(OsString, OsString)| Ok(format!("{}={}", text(key)?, text(value)?));
    Ok(Changes {
        netns: launch.netns.clone(),
        hostname: launch.hostname.clone(),
        mounts: launch.mounts.iter().map(mount).collect::<Result<_>>()?,
        files: ["resolv.conf", "hosts", "hostname"]
            .map(|file| (Path::new("/etc").join(file), scratch.join(file)))
            .into(),
        args: launch.command.iter().map(text).collect::<Result<_>>()?,
        env: launch.env.iter().map(pair).collect::<Result<_>>()?,
        cwd: launch.workdir.clone(),
        user: launch.user.clone(),
        read_only: launch.read_only_root,
        terminal: launch.tty,
    })
}

fn mount(mount: &ResolvedMount) -> Result<Mount> {
    let unsupported =
        |what: &str| Err(Error::unsupported(format!("{}: {what} is not there with --bundle", mount.label)));
    if mount.read_only == ReadOnly::ForceRecursive {
        return unsupported("bind-recursive=readonly");
    }
    let mut options: Vec<String> = Vec::new();
    if mount.read_only != ReadOnly::No {
        options.push("ro".to_owned());
    }
    let (kind, source) = match &mount.source {
        Source::Volume { subpath: Some(_), .. } => return unsupported("volume-subpath"),
        Source::Volume { data, .. } => ("bind", data.clone()),
        Source::Bind { path, .. } => ("bind", path.clone()),
        Source::Tmpfs { size, mode, options: words } => {
            options.extend(["noexec", "nosuid", "nodev"].map(str::to_owned));
            options.push(format!("mode={:o}", mode.unwrap_or(0o1777)));
            options.extend(size.map(|size| format!("size={size}")));
            options.extend(words.iter().cloned());
            ("tmpfs", "tmpfs".into())
        }
    };
    if kind == "bind" {
        options.push(if mount.non_recursive { "bind" } else { "rbind" }.to_owned());
        options.push(propagation(mount.propagation).to_owned());
    }
    Ok(Mount { target: mount.target.clone(), kind, source, options })
}

fn propagation(propagation: Propagation) -> &'static str {
    match propagation {
        Propagation::Private => "private",
        Propagation::Rprivate => "rprivate",
        Propagation::Shared => "shared",
        Propagation::Rshared => "rshared",
        Propagation::Slave => "slave",
        Propagation::Rslave => "rslave",
    }
}
