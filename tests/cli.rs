//! The command line as a user meets it: the real program, against a daemon that answers from a list.
mod cli_fake;

use cli_fake::{Answer, Daemon, ID, network, run, sandbox, volume};
use serde_json::{Value, json};

fn net(extra: Value) -> Value {
    let mut body = json!({"name": "n", "driver": "bridge", "pools": [], "internal": false, "ipv4": null,
                          "ipv6": false, "options": {}, "labels": {}});
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn pool(subnet: &str, gateway: Option<&str>) -> Value {
    json!({"subnet": subnet, "gateway": gateway, "range": null, "aux": {}})
}

/// A line, the method and body it sends, a good answer, and what is printed for it.
type Row = (&'static str, &'static str, Value, Value, String);

fn check(rows: impl IntoIterator<Item = Row>) {
    for (line, method, body, answer, wanted) in rows {
        let daemon = Daemon::new([Answer::ok(&answer)]);
        let ran = run(&daemon, line);
        assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (0, &*wanted, ""), "{line}");
        assert_eq!(daemon.requests(), [(method.to_owned(), body)], "{line}");
    }
}

fn removed(name: &str) -> Value {
    json!({"name": name, "warnings": []})
}

#[test]
fn network_verbs() {
    let created = || json!({"id": ID, "name": "n", "warnings": []});
    let id = || format!("{ID}\n");
    let seat = json!({"id": ID, "network": "n", "network_id": ID, "ifname": "x0", "host_ifname": null,
                      "mac": "02:42:0a:00:00:05", "addresses": [], "gateways": [], "aliases": [], "priority": -3});
    check([
        ("network create n", "Network.Create", net(json!({})), created(), id()),
        (
            "network create --driver bridge --subnet 182.18.0.1/16 --gateway 182.18.0.1 n",
            "Network.Create",
            net(json!({"pools": [pool("182.18.0.1/16", Some("182.18.0.1"))]})),
            created(),
            id(),
        ),
        (
            "network create --ipv6 --ipv4=false --internal -o mtu=1400 --opt icc=false --label a=b --label c \
             --attachable --subnet=10.0.0.0/24 --subnet=fd00::/64 -d macvlan n",
            "Network.Create",
            net(
                json!({"ipv6": true, "ipv4": false, "internal": true, "options": {"mtu": "1400", "icc": "false"},
                       "labels": {"a": "b", "c": ""}, "driver": "macvlan",
                       "pools": [pool("10.0.0.0/24", None), pool("fd00::/64", None)]}),
            ),
            created(),
            id(),
        ),
        (
            "network create --config-only n",
            "Network.Create",
            net(json!({"config_only": true})),
            created(),
            id(),
        ),
        ("network rm n", "Network.Remove", json!({"name": "n"}), removed("n"), "n\n".into()),
        (
            "network connect --ip 10.0.0.5 --ip6 fd00::5 --alias a --alias b --link db:d --gw-priority -3 \
             --mac-address 02:42:0a:00:00:05 --driver-opt com.docker.network.endpoint.ifname=x0 \
             --driver-opt com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.x=1 --link-local-ip fe80::7 n web",
            "Network.Connect",
            json!({"sandbox": "web", "endpoint": {"network": "n", "ip": "10.0.0.5", "ip6": "fd00::5",
                   "mac": "02:42:0a:00:00:05", "aliases": ["a", "b"], "links": {"d": "db"}, "ifname": "x0",
                   "priority": -3, "link_local": ["fe80::7"],
                   "sysctls": [{"family": "ipv4", "class": "conf", "key": "x", "value": "1"}]}}),
            seat,
            String::new(),
        ),
        (
            "network disconnect n web",
            "Network.Disconnect",
            json!({"network": "n", "sandbox": "web"}),
            removed("web"),
            String::new(),
        ),
        (
            "network prune -f --filter until=24h --filter label=a=b",
            "Network.Prune",
            json!({"filters": {"until": ["24h"], "label": ["a=b"]}}),
            json!({"removed": ["n"], "reclaimed": 0}),
            "Deleted Networks:\nn\n".into(),
        ),
        (
            "__complete networks",
            "Network.List",
            json!({"filters": {}}),
            json!([network("front")]),
            "front\n".into(),
        ),
    ]);
}

#[test]
fn volume_verbs() {
    check([
        (
            "volume create -o type=tmpfs -o o=size=1m,uid=7 data",
            "Volume.Create",
            json!({"name": "data", "driver": "local", "labels": {},
                   "options": {"type": "tmpfs", "o": "size=1m,uid=7"}}),
            volume("data"),
            "data\n".into(),
        ),
        (
            "volume create",
            "Volume.Create",
            json!({"name": null, "driver": "local", "options": {}, "labels": {}}),
            volume("data"),
            "data\n".into(),
        ),
        (
            "volume rm -f data",
            "Volume.Remove",
            json!({"name": "data", "force": true}),
            removed("data"),
            "data\n".into(),
        ),
        (
            "volume prune -a -f",
            "Volume.Prune",
            json!({"all": true, "filters": {}}),
            json!({"removed": ["data"], "reclaimed": 1_500_000}),
            "Deleted Volumes:\ndata\n\nTotal reclaimed space: 1.5MB\n".into(),
        ),
        (
            "volume ls -q -f dangling=true",
            "Volume.List",
            json!({"filters": {"dangling": ["true"]}}),
            json!([volume("v10"), volume("v9")]),
            "v9\nv10\n".into(),
        ),
    ]);
}

#[test]
fn sandbox_and_system_verbs() {
    let inspect = || json!({"name": "web"});
    check([
        (
            "sandbox rm -f -v web",
            "Sandbox.Remove",
            json!({"name": "web", "force": true, "volumes": true}),
            removed("web"),
            "web\n".into(),
        ),
        (
            "port web",
            "Sandbox.Inspect",
            inspect(),
            sandbox(),
            "53/udp -> [::1]:5353\n80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n".into(),
        ),
        ("port web 80", "Sandbox.Inspect", inspect(), sandbox(), "0.0.0.0:8080\n[::]:8080\n".into()),
        ("dump", "System.Dump", json!({}), json!({"a": 1}), "{\n  \"a\": 1\n}\n".into()),
    ]);
}

#[test]
fn a_sandbox_with_everything() {
    let daemon = Daemon::new([
        Answer::ok(&network("bridge")),
        Answer::ok(&json!({"id": ID, "name": "web", "warnings": ["the port is odd"]})),
    ]);
    let ran = run(
        &daemon,
        "sandbox create --name web --netns /run/netns/x --network front,ip=10.0.0.9,alias=w \
         --network container:db --link db:d -p 127.0.0.1:8080:80 -p 53:53/udp,90:90 -v data:/data:ro \
         --mount type=bind,source=/etc,target=/e,readonly --tmpfs /t:size=1m -h host1 --dns 10.0.0.1 \
         --dns-search x.y --dns-option ndots:2 --add-host a:10.0.0.7 --add-host g:host-gateway -l k=v --rm",
    );
    assert_eq!(
        (ran.code, ran.stdout, ran.stderr),
        (0, format!("{ID}\n"), "warning: the port is odd\n".into())
    );
    let seat = |network: &str, ip: Option<&str>, aliases: &[&str]| {
        json!({"network": network, "ip": ip, "ip6": null, "mac": null, "aliases": aliases,
               "links": {"d": "db"}, "ifname": null, "priority": 0})
    };
    let body = &daemon.requests()[1].1;
    let kinds: Vec<_> =
        body["mounts"].as_array().unwrap().iter().map(|m| (&m["kind"], &m["target"])).collect();
    for (found, wanted) in [
        (&body["networks"], json!([seat("front", Some("10.0.0.9"), &["w"]), seat("sandbox:db", None, &[])])),
        (
            &body["ports"],
            json!([{"host_ip": "127.0.0.1", "host_port": 8080, "port": 80, "count": 1, "proto": "tcp"},
                   {"host_port": 53, "port": 53, "count": 1, "proto": "udp"},
                   {"host_port": 90, "port": 90, "count": 1, "proto": "tcp"}]),
        ),
        (&json!(kinds), json!([["volume", "/data"], ["bind", "/e"], ["tmpfs", "/t"]])),
        (&body["hosts"], json!([["a", "10.0.0.7"], ["g", "172.17.0.1"]])),
        (&body["dns"], json!({"servers": ["10.0.0.1"], "search": ["x.y"], "options": ["ndots:2"]})),
        (&body["hostname"], json!("host1")),
        (&body["labels"], json!({"k": "v"})),
        (&body["auto_remove"], json!(true)),
        (&body["netns"], json!("/run/netns/x")),
        (&body["name"], json!("web")),
    ] {
        assert_eq!(*found, wanted);
    }
}

#[test]
fn tables() {
    let networks = json!([network("net10"), network("net9")]);
    for (line, answer, wanted) in [
        (
            "network ls",
            networks.clone(),
            "NETWORK ID     NAME    DRIVER   SCOPE   SUBNET\n\
             aaaaaaaaaaaa   net9    bridge   local   172.17.0.0/16\n\
             aaaaaaaaaaaa   net10   bridge   local   172.17.0.0/16\n",
        ),
        ("network ls -q", networks, "aaaaaaaaaaaa\naaaaaaaaaaaa\n"),
        ("volume ls", json!([volume("data")]), "DRIVER   VOLUME NAME\nlocal    data\n"),
        (
            "sandbox ls",
            json!([sandbox()]),
            "NAME   ID             STATUS    NETWORKS   ADDRESSES   PORTS\n\
             web    aaaaaaaaaaaa   running   front      10.0.0.2    8080->80/tcp, [::1]:5353->53/udp\n",
        ),
        (
            "doctor",
            json!([{"level": "warning", "check": "mtu", "message": "odd", "remedy": "set it"}]),
            "warning  mtu: odd\n         -> set it\n",
        ),
    ] {
        let ran = run(&Daemon::new([Answer::ok(&answer)]), line);
        assert_eq!((ran.code, &*ran.stdout), (0, wanted), "{line}: {}", ran.stderr);
    }
}

#[test]
fn json_is_the_object_of_the_api() {
    let networks = json!([network("net10"), network("net9")]);
    for (line, answer, wanted) in [
        ("network ls --format json", networks.clone(), networks),
        ("--format json sandbox ls", json!([sandbox()]), json!([sandbox()])),
        ("network inspect front", network("front"), json!([network("front")])),
        ("volume inspect data", volume("data"), json!([volume("data")])),
        ("sandbox inspect web --format=json", sandbox(), sandbox()),
        ("volume create --format json", volume("data"), volume("data")),
    ] {
        let ran = run(&Daemon::new([Answer::ok(&answer)]), line);
        assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap(), wanted, "{line}");
    }
}

#[test]
fn errors_are_one_line() {
    let daemon = Daemon::new([
        Answer::error(404, &json!({"kind": "not_found", "message": "network a not found", "causes": []})),
        Answer::ok(&json!({"name": "b"})),
        Answer::error(
            409,
            &json!({"kind": "conflict", "message": "network c is in use", "causes": ["by web"]}),
        ),
    ]);
    let ran = run(&daemon, "network rm a b c");
    assert_eq!((ran.code, &*ran.stdout), (1, "b\n"));
    assert_eq!(ran.stderr, "pontoon: network a not found\npontoon: network c is in use: by web\n");

    let gone = Answer::error(404, &json!({"kind": "not_found", "message": "network a not found"}));
    let ran = run(&Daemon::new([gone]), "network rm -f a");
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (0, "", ""));

    for (answer, wanted) in [
        ("HTTP/1.1 502 Bad\r\nContent-Length: 5\r\n\r\nhello", "HTTP status 502"),
        ("", "closed the connection before its answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "closed the connection before its answer"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "is it of another version?"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "talk to the daemon at"),
    ] {
        let ran = run(&Daemon::new([Answer::raw(answer)]), "system info");
        assert_eq!((ran.code, ran.stderr.lines().count()), (1, 1), "{}", ran.stderr);
        assert!(ran.stderr.contains(wanted), "{}", ran.stderr);
    }

    let ran = cli_fake::pontoon("--host unix:///nonexistent/x.sock network ls", "");
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.stderr,
        "pontoon: cannot reach the daemon at /nonexistent/x.sock: is it running? start it with `pontoon daemon`\n"
    );
}

/// Refused before anybody is asked.
#[test]
fn refusals_without_a_daemon() {
    for (line, code, wanted) in [
        ("network create", 2, "the following required arguments were not provided: <NETWORK>"),
        ("network create --subnt x n", 2, "a similar argument exists: '--subnet'"),
        ("netwrk ls", 2, "unrecognized subcommand 'netwrk'"),
        ("network ls --format {{.Name}}", 2, "use --format json and pick with jq"),
        ("network inspect -f {{.Name}} n", 2, "use --format json and pick with jq"),
        ("run", 2, "<COMMAND>"),
        ("run --memory 10m bash", 2, "unexpected argument '--memory' found (see `pontoon run --help`)"),
        ("--host tcp://x network ls", 1, "invalid host \"tcp://x\""),
        (
            "network create --gateway 10.0.0.1 n",
            1,
            "every ip-range or gateway must have a corresponding subnet",
        ),
        ("network create --ingress n", 1, "--ingress is not supported for network n"),
        ("network create -d overlay n", 1, "network driver \"overlay\" not found"),
        ("network ls --filter x", 1, "invalid --filter \"x\""),
        ("sandbox create -p 80:x", 1, "invalid port \"80:x\""),
        ("sandbox create -v a:b", 1, "invalid mount \"a:b\""),
        ("sandbox create --id 12", 1, "invalid id"),
        ("sandbox create --add-host x", 1, "invalid --add-host \"x\""),
        ("port web x/tcp", 1, "invalid port \"x/tcp\""),
        ("events --since yesterday", 1, "invalid --since"),
    ] {
        let ran = cli_fake::pontoon(line, "");
        assert_eq!((ran.code, ran.stderr.lines().count()), (code, 1), "{line}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("pontoon: ") && ran.stderr.contains(wanted), "{line}: {}", ran.stderr);
    }
}

#[test]
fn prune_asks() {
    let daemon = Daemon::new([Answer::ok(&json!({"removed": [], "reclaimed": 0}))]);
    let ran = cli_fake::pontoon(&format!("--host {} volume prune", daemon.host()), "y\n");
    assert_eq!((ran.code, &*ran.stdout), (0, "Total reclaimed space: 0B\n"));
    assert!(ran.stderr.contains("the anonymous volumes that no sandbox uses"));
    for no in ["n\n", ""] {
        let ran = cli_fake::pontoon("network prune", no);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.contains("prune was cancelled"), "{}", ran.stderr);
    }
}

/// JSON lines, in chunks that end anywhere.
fn lines(text: &str) -> Answer {
    let chunk = |part: &[u8]| format!("{:x};x=y\r\n{}\r\n", part.len(), String::from_utf8_lossy(part));
    let chunks: String = text.as_bytes().chunks(7).map(chunk).collect();
    Answer::raw(&format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n\
         {chunks}0\r\nTrailer: x\r\n\r\n"
    ))
}

#[test]
fn long_calls() {
    let df = json!({"networks": {"total": 4, "active": 1}, "sandboxes": {"total": 2, "active": 2},
                    "volumes": [{"name": "data", "users": 1, "size": 2_000_000, "anonymous": false}],
                    "size": 2_000_000, "reclaimable": 0, "reclaimable_all": 1500});
    let good = format!("{}\n\n{}\n", json!({"progress": "counting"}), json!({"result": df}));
    let ran = run(&Daemon::new([lines(&good)]), "system df");
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let row = "Volumes     1       1        2MB    0B (prune), 1.5kB (prune -a)\n";
    assert!(ran.stdout.ends_with(row), "{}", ran.stdout);
    let ran = run(&Daemon::new([lines(&good)]), "system df -v");
    assert_eq!(ran.stdout, "VOLUME NAME   LINKS   SIZE\ndata          1       2MB\n");

    let error = json!({"error": {"kind": "internal", "message": "measure volume data", "causes": ["EIO"]}});
    let ran = run(&Daemon::new([lines(&format!("{error}\n"))]), "system df");
    assert_eq!((ran.code, &*ran.stderr), (1, "pontoon: measure volume data: EIO\n"));
    let ran = run(&Daemon::new([lines("{\"progress\":\"x\"}\n")]), "system df");
    assert_eq!(ran.code, 1);
}

#[test]
fn events_as_they_come() {
    let event = json!({"time": "2026-01-01T00:00:00Z", "object": "network", "action": "connect", "id": ID,
                       "name": "n", "cause": "call", "attributes": {"sandbox": "web"}});
    let daemon = Daemon::new([lines(&format!("{event}\n{event}\n"))]);
    let ran = run(&daemon, "events --since 1767225600 --filter type=network");
    let line = "2026-01-01T00:00:00Z network connect aaaaaaaaaaaa (name=n, cause=call, sandbox=web)\n";
    assert_eq!(ran.stdout, line.repeat(2));
    let body = json!({"since": "2026-01-01T00:00:00Z", "filters": {"type": ["network"]}});
    assert_eq!(daemon.requests(), [("Events.Watch".to_owned(), body)]);
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let many: Vec<Value> = (0..5000).map(|n| network(&format!("n{n}"))).collect();
    let daemon = Daemon::new([Answer::ok(&json!(many))]);
    let program = cli_fake::PROGRAM;
    let line = format!("{program} --host {} network ls | head -1; echo ${{PIPESTATUS[0]}}", daemon.host());
    let (stdout, stderr) = cli_fake::bash(&line);
    assert!(stdout.ends_with("\n0\n"), "{stdout}");
    assert_eq!(stderr, "");
}

#[test]
fn bash_completes_names() {
    for (words, answer, wanted) in [
        ("pontoon network rm ", json!([network("front"), network("back")]), "front back"),
        ("pontoon network rm front b", json!([network("front"), network("back")]), "back"),
        ("pontoon network connect --ip 10.0.0.1 front ", json!([sandbox()]), "web"),
        ("pontoon sandbox inspect w", json!([sandbox()]), "web"),
        ("pontoon volume rm ", json!([volume("data")]), "data"),
        ("pontoon port ", json!([sandbox()]), "web"),
        ("pontoon run --network ", json!([network("front")]), "front"),
        ("pontoon sandbox create -v ", json!([volume("data")]), "data"),
        ("pontoon netw", json!([]), "network"),
        ("pontoon network pr", json!([]), "prune"),
    ] {
        let daemon = Daemon::new([Answer::ok(&answer)]);
        let line = format!(
            "pontoon() {{ {} \"$@\"; }}; export PONTOON_HOST={}; source <(pontoon completion bash)
             IFS=' ' read -ra COMP_WORDS <<< '{words}'; [[ '{words}' == *' ' ]] && COMP_WORDS+=('')
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); f=$(complete -p pontoon); f=${{f##*-F }}; f=${{f%% *}}
             $f pontoon \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"
             echo \"${{COMPREPLY[*]}}\"",
            cli_fake::PROGRAM,
            daemon.host(),
        );
        let (stdout, stderr) = cli_fake::bash(&line);
        assert_eq!((stdout.trim_end(), &*stderr), (wanted, ""), "{words}");
    }
}

#[test]
fn every_help_has_examples() {
    for (noun, verbs) in [
        ("network", "create ls inspect rm prune connect disconnect"),
        ("volume", "create ls inspect rm prune"),
        ("sandbox", "create ls inspect rm"),
        ("system", "df info"),
        ("", "run port events doctor why dump completion daemon --help"),
    ] {
        for verb in verbs.split(' ') {
            let ran = cli_fake::pontoon(&format!("{noun} {verb} --help"), "");
            assert_eq!(ran.code, 0, "{noun} {verb}: {}", ran.stderr);
            assert!(ran.stdout.contains("Examples:\n"), "{noun} {verb}: {}", ran.stdout);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(cli_fake::pontoon(&format!("man {}", dir.path().display()), "").code, 0);
    assert!(dir.path().join("pontoon-network-create.1").exists());
}
