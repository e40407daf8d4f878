//! TCP connections of our own: servers that greet or tell who came, and a client that takes the time until it is greeted.
use crate::{flow, place::Place};
use socket2::{Domain, Socket, Type};
use std::{
    io::{Read, Write},
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// Greets with one byte whoever comes to `port`, and lets go.
pub fn accept(place: &Place, port: u16) {
    serve(place, port, |mut stream| drop(stream.write_all(b"!")));
}

/// Tells each client its address.
pub fn tell(place: &Place, port: u16) {
    serve(place, port, |mut stream| {
        let who = stream.peer_addr().map(|address| address.ip().to_canonical().to_string());
        let _ = stream.write_all(who.unwrap_or_default().as_bytes());
    });
}

/// Both families. The queue holds a whole run, so that a server that waits for a core does not cost a second.
fn serve(place: &Place, port: u16, answer: impl Fn(TcpStream) + Send + 'static) {
    let open = || {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
        socket.listen(4_096).map(|()| TcpListener::from(socket))
    };
    let listener = place.enter(open).unwrap_or_else(|error| panic!("listen at {port}: {error}"));
    thread::spawn(move || {
        flow::pin(flow::cpus().0).expect("a CPU");
        listener.incoming().flatten().for_each(&answer);
    });
}

pub fn told(place: &Place, to: SocketAddr) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{to}: {error}");
    let mut stream =
        place.enter(|| TcpStream::connect_timeout(&to, Duration::from_secs(5))).map_err(failed)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Seconds until the greeting for each of `count` connections, one after the other. (A connect alone would flatter a proxy,
/// which accepts before it asks.) Each ends with a reset, or the ports would run out. Client and server share a CPU: where the
/// scheduler parts them, each wakes the other's from its sleep, and a connection takes 70 us instead of 25, now and then.
pub fn connects(place: &Place, to: SocketAddr, count: usize) -> Result<Vec<f64>, String> {
    let failed = |error: std::io::Error| format!("connect to {to}: {error}");
    let work = || {
        flow::pin(flow::cpus().0).map_err(failed)?;
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).map_err(failed)?;
            socket.set_linger(Some(Duration::ZERO)).map_err(failed)?;
            let start = Instant::now();
            socket.connect_timeout(&to.into(), Duration::from_secs(5)).map_err(failed)?;
            let mut stream = TcpStream::from(socket);
            stream.read_exact(&mut [0]).map_err(failed)?;
            times.push(start.elapsed().as_secs_f64());
        }
        Ok(times)
    };
    // A thread of its own: it shall not stay there.
    thread::scope(|scope| scope.spawn(|| place.enter(work)).join().expect("a client"))
}
