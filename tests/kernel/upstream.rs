//! Names that are not ours are asked of the host's nameservers, from where the sandbox stands.
use crate::world::{Place, World, need, tool::soon, world, world_with_neighbours};
use serde_json::json;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// A nameserver that says `answer` to every A question of `good.example` and below, NXDOMAIN to the rest.
struct Upstream(Child);

const CODE: &str = r#"
import socket,sys,threading,struct
addr,answer=sys.argv[1],sys.argv[2]
f=socket.AF_INET6 if ':' in addr else socket.AF_INET
def reply(q):
    i=12; labels=[]
    while q[i]: labels.append(q[i+1:i+1+q[i]].decode().lower()); i+=1+q[i]
    name='.'.join(labels); end=i+5; kind=struct.unpack('!H',q[i+1:i+3])[0]
    good=name.endswith('good.example'); n=1 if good and kind==1 else 0
    head=q[:2]+struct.pack('!HHHHH',0x8180|(0 if good else 3),1,n,0,0)
    rr=b'\xc0\x0c'+struct.pack('!HHIH',1,1,30,4)+socket.inet_aton(answer) if n else b''
    return head+q[12:end]+rr
u=socket.socket(f,socket.SOCK_DGRAM); u.bind((addr,53))
t=socket.create_server((addr,53),family=f)
def tcp():
    while 1:
        c,_=t.accept(); n=struct.unpack('!H',c.recv(2))[0]; r=reply(c.recv(n)); c.send(struct.pack('!H',len(r))+r); c.close()
threading.Thread(target=tcp,daemon=True).start()
print('up',flush=True)
while 1:
    q,p=u.recvfrom(2048); u.sendto(reply(q),p)
"#;

impl Upstream {
    fn start(place: &Place, address: &str, answer: &str) -> Self {
        let mut child = place
            .enter(|| {
                Command::new("python3").args(["-c", CODE, address, answer]).stdout(Stdio::piped()).spawn()
            })
            .expect("python3");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("pipe")).read_line(&mut line).expect("read");
        assert_eq!(line.trim(), "up", "the upstream on {address}");
        Upstream(child)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn nameservers(all: &[&str]) {
    let text: String = all.iter().map(|ip| format!("nameserver {ip}\n")).collect();
    std::fs::write("/run/resolv.conf", text).expect("resolv.conf");
}

/// Waits for a changed resolv.conf to be heard of, then it must stay so.
fn says(w: &World, place: &Place, name: &str, wanted: &str) {
    let _ = w;
    soon(3000, &format!("{name} is {wanted}"), || place.dig(&[name]) == wanted);
}

#[test]
fn the_hosts_nameservers_are_asked_and_followed() {
    need(&["ip", "nft", "dig", "python3"]);
    world_with_neighbours(|w, lan, wan| {
        let (_one, _two) = (
            Upstream::start(lan, "192.0.2.2", "203.0.113.1"),
            Upstream::start(wan, "2001:db8:2::2", "203.0.113.2"),
        );
        nameservers(&["192.0.2.2"]);
        w.network("n", json!({}));
        let (a, b) = (w.sandbox("a", &["n"]), w.sandbox("b", &["n"]));
        says(w, &a.place, "www.good.example", "203.0.113.1");
        assert_eq!(a.place.dig(&["+tcp", "x.good.example"]), "203.0.113.1");
        assert_eq!(a.place.dig(&["bad.example"]), "NXDOMAIN");
        assert_eq!(a.place.dig(&["www.good.example", "AAAA"]), "", "NOERROR without an answer");
        assert_eq!(a.place.dig(&["b"]), b.ip, "ours come first");
        nameservers(&["2001:db8:2::2"]);
        says(w, &a.place, "other.good.example", "203.0.113.2");
        std::fs::write("/run/resolv.conf", "# nobody\n").expect("resolv.conf");
        soon(3000, "nobody to ask", || a.place.dig(&["third.good.example"]) == "SERVFAIL");
    });
}

#[test]
fn a_dead_first_server_costs_little() {
    need(&["ip", "nft", "dig", "python3"]);
    world_with_neighbours(|w, lan, _| {
        let _two = Upstream::start(lan, "192.0.2.2", "203.0.113.1");
        // Nobody is 192.0.2.66: questions to it vanish.
        nameservers(&["192.0.2.66", "192.0.2.2"]);
        w.network("n", json!({}));
        let a = w.sandbox("a", &["n"]);
        says(w, &a.place, "first.good.example", "203.0.113.1");
        for i in 0..3 {
            let start = std::time::Instant::now();
            assert_eq!(a.place.dig(&[&format!("n{i}.good.example")]), "203.0.113.1");
            assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
        }
        let (_, page) = w.daemon.raw("GET", "/metrics", b"");
        let page = String::from_utf8(page).expect("text");
        let of = |column: &str, server: &str| {
            let start = format!("pontoon_dns_upstream_{column}{{server=\"{server}");
            let line = page.lines().find(|line| line.starts_with(&start));
            let line = line.unwrap_or_else(|| panic!("{start} is not in\n{page}"));
            line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")
        };
        assert_eq!((of("healthy", "192.0.2.66"), of("healthy", "192.0.2.2")), (0.0, 1.0), "{page}");
        assert!(
            of("answered_total", "192.0.2.2") >= 4.0 && of("failed_total", "192.0.2.66") >= 1.0,
            "{page}"
        );
    });
}

#[test]
fn a_server_on_the_hosts_loopback_is_reached() {
    need(&["ip", "nft", "dig", "python3"]);
    world(|w| {
        let _one = Upstream::start(&w.host, "127.0.0.53", "203.0.113.1");
        nameservers(&["127.0.0.53"]);
        w.network("n", json!({}));
        let a = w.sandbox("a", &["n"]);
        says(w, &a.place, "www.good.example", "203.0.113.1");
    });
}

#[test]
fn a_sandbox_may_name_its_own_servers() {
    need(&["ip", "nft", "dig", "python3"]);
    world_with_neighbours(|w, lan, wan| {
        let (_one, _two) = (
            Upstream::start(lan, "192.0.2.2", "203.0.113.1"),
            Upstream::start(wan, "198.51.100.2", "203.0.113.2"),
        );
        nameservers(&["192.0.2.2"]);
        w.network("n", json!({}));
        let a = w
            .sandbox_with("a", json!({"networks": [{"network": "n"}], "dns": {"servers": ["198.51.100.2"]}}));
        says(w, &a.place, "www.good.example", "203.0.113.2");
    });
}

#[test]
fn an_internal_network_asks_nobody() {
    need(&["ip", "nft", "dig", "python3"]);
    world_with_neighbours(|w, lan, _| {
        let _one = Upstream::start(lan, "192.0.2.2", "203.0.113.1");
        nameservers(&["192.0.2.2"]);
        w.network("secret", json!({"internal": true}));
        w.network("open", json!({}));
        let (a, b) = (w.sandbox("a", &["secret"]), w.sandbox("b", &["secret"]));
        let c = w.sandbox("c", &["open"]);
        says(w, &c.place, "www.good.example", "203.0.113.1");
        let says_a = a.place.dig(&["www.good.example"]);
        assert!(["SERVFAIL", "NXDOMAIN", "REFUSED"].contains(&says_a.as_str()), "{says_a}");
        assert_eq!(a.place.dig(&["b"]), b.ip);
    });
}
