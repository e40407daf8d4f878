//! Those who talk all the time and must never notice, and those who flood.
use crate::world::{Box, Echo, Place, World};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::Scope,
    time::{Duration, Instant},
};

/// Patience with one exchange; a lost packet of an established TCP connection comes again after 0.2 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Is somebody else at work on what is ours?
pub fn drift() -> bool {
    std::env::var_os("SOAK_DRIFT").is_some()
}

/// Two sandboxes, one with a published port, and a neighbour on the LAN.
pub struct Witness {
    one: Box,
    two: Box,
    lan: Place,
    device: String,
    _echo: Echo,
    failures: Mutex<Vec<String>>,
    exchanges: AtomicU64,
    slowest: Mutex<(Duration, &'static str)>,
}

impl Witness {
    pub fn new(w: &World, lan: &Place) -> Self {
        let network = w.dual("witness", json!({}));
        w.network("shared", json!({}));
        let ports = json!([{"host_port": 8080, "port": 80}]);
        let one = w.sandbox_with("one", json!({"networks": [{"network": "witness"}], "ports": ports}));
        let two = w.sandbox("two", &["witness"]);
        let _echo = Echo::serve(&one.place, "one", 80);
        Witness {
            one,
            two,
            lan: lan.clone(),
            device: network["device"].as_str().unwrap_or_default().to_owned(),
            _echo,
            failures: Mutex::default(),
            exchanges: AtomicU64::new(0),
            slowest: Mutex::new((Duration::ZERO, "")),
        }
    }

    pub fn talk<'s, 'e>(&'e self, scope: &'s Scope<'s, 'e>, over: &'e AtomicBool) {
        let one = format!("{}:80", self.one.ip);
        let six = format!("[{}]:80", self.one.ip6);
        for (what, from, to) in [
            ("neighbour, TCP", &self.two.place, one.clone()),
            ("neighbour, TCP over IPv6", &self.two.place, six),
            ("LAN through the published port", &self.lan, "192.0.2.1:8080".to_owned()),
        ] {
            let mut stream = from.enter(|| greeted(&to)).expect("a first connection");
            scope.spawn(move || {
                self.repeat(what, over, || {
                    stream.write_all(b"still there?").map_err(|e| e.to_string())?;
                    stream.read_exact(&mut [0; 12]).map_err(|e| e.to_string())
                });
            });
        }
        let lan = self.lan.clone();
        scope.spawn(move || {
            lan.enter(|| {
                self.repeat("a new connection from the LAN", over, || {
                    let begin = Instant::now();
                    loop {
                        match greeted("192.0.2.1:8080") {
                            Ok(_) => return Ok(()),
                            // The port's rule is taken away and nobody is there to put it back.
                            Err(_) if drift() && begin.elapsed() < PATIENCE => {
                                std::thread::sleep(Duration::from_millis(20));
                            }
                            Err(error) => return Err(error.to_string()),
                        }
                    }
                });
            });
        });
        let two = self.two.place.clone();
        scope.spawn(move || two.enter(|| self.repeat("neighbour, UDP", over, || datagram(&one))));
    }

    fn repeat(&self, what: &'static str, over: &AtomicBool, mut once: impl FnMut() -> Result<(), String>) {
        while !over.load(Relaxed) {
            let start = Instant::now();
            if let Err(error) = once() {
                self.failures.lock().expect("lock").push(format!("{what}: {error}"));
                return;
            }
            self.exchanges.fetch_add(1, Relaxed);
            let mut slowest = self.slowest.lock().expect("lock");
            *slowest = (*slowest).max((start.elapsed(), what));
            drop(slowest);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[track_caller]
    pub fn never_stopped(&self) {
        let failures = self.failures.lock().expect("lock");
        assert!(failures.is_empty(), "traffic was interrupted: {failures:?}");
        drop(failures);
        assert_eq!(self.two.place.dig(&["one."]), self.one.ip, "names are answered after the start");
    }

    /// Somebody who knows nothing of us takes something of ours away. Retransmissions bridge it, if it comes back soon.
    pub fn disturb(&self, w: &World, dice: &mut super::client::Dice) {
        let (program, what): (_, &[&str]) = match dice.below(4) {
            0 => ("nft", &["flush", "map", "inet", "pontoon", "any4"]),
            1 => ("nft", &["delete", "table", "bridge", "pontoon"]),
            2 => ("ip", &["link", "set", &self.device, "down"]),
            _ => ("ip", &["addr", "flush", "dev", &self.device]),
        };
        // What is gone already cannot be taken away.
        let _ = w.host.try_run(program, what);
    }

    pub fn exchanges(&self) -> u64 {
        self.exchanges.load(Relaxed)
    }
    pub fn slowest(&self) -> (Duration, &'static str) {
        *self.slowest.lock().expect("lock")
    }
}

fn greeted(to: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&to.parse().expect("address"), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    match stream.read(&mut [0; 64])? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(stream),
    }
}

/// One of two may get lost: the machine is busy.
fn datagram(to: &str) -> Result<(), String> {
    let once = || -> std::io::Result<()> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(to)?;
        socket.set_read_timeout(Some(PATIENCE / 5))?;
        socket.send(b"who?")?;
        socket.recv(&mut [0; 64]).map(drop)
    };
    once().or_else(|_| once()).map_err(|error| error.to_string())
}

/// A sandbox that asks for names some thousand times a second.
pub struct Flood;

impl Flood {
    pub fn begin<'s, 'e>(scope: &'s Scope<'s, 'e>, place: &'e Place, over: &'e AtomicBool) {
        let query = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03one\0\0\x01\0\x01";
        scope.spawn(move || {
            place.enter(|| {
                let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
                while !over.load(Relaxed) {
                    for _ in 0..32 {
                        let _ = socket.send_to(query, "127.0.0.11:53");
                    }
                    let _ = TcpStream::connect("127.0.0.11:53");
                    // The build that is tested is slow, and other tests run beside this one.
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
        });
    }
}
