//! Those who talk all the time and must never notice.
use super::{
    drift,
    tally::{Tally, one_more},
};
use crate::world::{Box, Echo, Place, World};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::Scope,
    time::{Duration, Instant},
};

/// Patience with one exchange; a lost packet of an established TCP connection comes again after 0.2 s, then 0.4, 0.8 ...
/// Where somebody takes a bridge down just when nobody is there to put it up again, packets wait for the next start.
fn patience() -> Duration {
    Duration::from_secs(if drift::wanted() { 15 } else { 5 })
}

/// Two sandboxes, one with a published port, and a neighbour on the LAN.
pub struct Witness {
    one: Box,
    two: Box,
    lan: Place,
    pub device: String,
    _echo: Echo,
    failures: Mutex<Vec<String>>,
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
            slowest: Mutex::new((Duration::ZERO, "")),
        }
    }

    pub fn talk<'s, 'e>(&'e self, scope: &'s Scope<'s, 'e>, over: &'e AtomicBool, tally: &'e Tally) {
        let one = format!("{}:80", self.one.ip);
        let six = format!("[{}]:80", self.one.ip6);
        for (what, from, to) in [
            ("neighbour, TCP", &self.two.place, one.clone()),
            ("neighbour, TCP over IPv6", &self.two.place, six),
        ] {
            let mut stream = from.enter(|| greeted(&to)).expect("a first connection");
            scope.spawn(move || {
                self.repeat(what, over, tally, || talk(&mut stream).map_err(|e| e.to_string()))
            });
        }
        let lan = self.lan.clone();
        scope.spawn(move || lan.enter(|| self.published(over, tally)));
        let (lan, two) = (self.lan.clone(), self.two.place.clone());
        scope.spawn(move || {
            let connect =
                || greeted_within("192.0.2.1:8080", patience().min(Duration::from_secs(3))).map(drop);
            // With others at work the port's rule is away at times, and at times nobody is there to put it back.
            let connect = || if drift::wanted() { patiently(connect) } else { connect() };
            lan.enter(|| {
                self.repeat("a new connection from the LAN", over, tally, || {
                    connect().map_err(|e| e.to_string())
                });
            });
        });
        scope.spawn(move || {
            two.enter(|| {
                self.repeat("neighbour, UDP", over, tally, || {
                    patiently(|| datagram(&one)).map_err(|e| e.to_string())
                })
            });
        });
        // After kill -9 a lookup waits for the next start: a resolver asks again.
        let two = self.two.place.clone();
        scope.spawn(move || {
            two.enter(|| {
                self.repeat("a lookup", over, tally, || patiently(lookup).map_err(|e| e.to_string()))
            });
        });
    }

    /// One connection through the published port, for ever. A flush of the whole ruleset does it no harm while the daemon
    /// lives (`flush`). Between its death and the next start the kernel's translation goes with the ruleset: whose packet
    /// comes then, either end's, is answered by a reset, and the other end may hear of it as an end of file. Then, and only
    /// then, another one is opened.
    fn published(&self, over: &AtomicBool, tally: &Tally) {
        let to = "192.0.2.1:8080";
        let mut stream = greeted(to).expect("a first connection");
        let told = |error: std::io::Error| error.to_string();
        self.repeat("LAN through the published port", over, tally, || match talk(&mut stream) {
            Err(error) if drift::wanted() && was_cut(&error) => {
                one_more(&tally.cuts);
                patiently(|| greeted_within(to, Duration::from_secs(3)).map(|anew| stream = anew))
                    .map_err(told)
            }
            done => done.map_err(told),
        });
    }

    fn repeat(
        &self,
        what: &'static str,
        over: &AtomicBool,
        tally: &Tally,
        mut once: impl FnMut() -> Result<(), String>,
    ) {
        while !over.load(Relaxed) {
            let start = Instant::now();
            if let Err(error) = once() {
                self.failures.lock().expect("lock").push(format!("{what}: {error}"));
                return;
            }
            one_more(&tally.exchanges);
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

    pub fn slowest(&self) -> (Duration, &'static str) {
        *self.slowest.lock().expect("lock")
    }
}

fn was_cut(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ConnectionReset | UnexpectedEof | BrokenPipe)
}

fn talk(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"still there?")?;
    stream.read_exact(&mut [0; 12])
}

/// Again until it succeeds or patience is over.
fn patiently(mut once: impl FnMut() -> std::io::Result<()>) -> std::io::Result<()> {
    let begin = Instant::now();
    loop {
        match once() {
            Err(_) if begin.elapsed() < patience() => std::thread::sleep(Duration::from_millis(20)),
            done => return done,
        }
    }
}

fn greeted(to: &str) -> std::io::Result<TcpStream> {
    greeted_within(to, patience())
}

fn greeted_within(to: &str, limit: Duration) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&to.parse().expect("address"), limit)?;
    stream.set_read_timeout(Some(limit))?;
    match stream.read(&mut [0; 64])? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => {
            stream.set_read_timeout(Some(patience()))?;
            Ok(stream)
        }
    }
}

fn datagram(to: &str) -> std::io::Result<()> {
    asked(to, b"who?").map(drop)
}

fn lookup() -> std::io::Result<()> {
    let answer = asked("127.0.0.11:53", b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03one\0\0\x01\0\x01")?;
    match answer.get(3).is_some_and(|code| code & 15 == 0) && answer.get(7) == Some(&1) {
        true => Ok(()),
        // What is answered has to be right at once.
        false => panic!("one. is answered by {answer:?}"),
    }
}

fn asked(to: &str, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    socket.send(question)?;
    let mut bytes = vec![0; 512];
    let length = socket.recv(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}
