//! Connections: accepted, bounded in number, size and time, and handed to the doorway that knows the path.
use super::{
    crowd::{self, Crowd, Seat},
    docker,
    metrics::Metrics,
    native,
    patient::Patient,
    plugin, reply,
    weight::weigh,
};
use crate::{engine::Engine, error::Error};
use http_body_util::BodyExt;
use hyper::{
    Method, Request,
    body::{Bytes, Incoming},
    http::request::Parts,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, watch},
};

/// Bytes of a request's body at the most: 10,000 ports take 0.7 MB.
const BODY: usize = 4 << 20;
/// Bytes that a body takes when it has been read, from which on it counts as a large one.
const HEAVY: usize = 4 * crowd::LIGHT;
/// Bytes of a request's head at the most.
const HEAD: usize = 32 << 10;
/// How long a client may take for its request's head, for its body, and to take anything of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all doorways share.
#[derive(Clone)]
pub struct Doorways {
    pub engine: Engine,
    pub metrics: Arc<Metrics>,
}

/// Accepts until `stop` turns true.
pub async fn serve(listener: UnixListener, doorways: Doorways, mut stop: watch::Receiver<bool>) {
    let crowd = Crowd::new();
    let mut refused = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                refused = false;
                let seat = tokio::select! {
                    seat = crowd.seat() => seat,
                    _ = stop.wait_for(|stop| *stop) => return,
                };
                let Some(seat) = seat else { return };
                tokio::spawn(converse(stream, doorways.clone(), seat, stop.clone()));
            }
            Err(error) => {
                // Said once, not twenty times a second until descriptors are free again.
                if !refused {
                    let error = Error::os("accept a connection", &error);
                    tracing::warn!(%error, "clients have to wait");
                }
                refused = true;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, doorways: Doorways, seat: Seat, mut stop: watch::Receiver<bool>) {
    let service = service_fn(|request| async {
        Ok::<_, std::convert::Infallible>(answer(request, &doorways, &seat).await)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_headers(64).max_buf_size(HEAD);
    // As Go writes names of headers: `curl | grep Api-Version` is a client too.
    http.title_case_headers(true);
    let connection = http.serve_connection(TokioIo::new(Patient::new(stream, PATIENCE)), service);
    tokio::pin!(connection);
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    tokio::select! {
        // A client that goes away in the middle is no error of ours.
        _ = connection.as_mut() => return,
        () = seat.told_to_leave() => return,
        () = seat.given_up() => return,
        () = stopped => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(Duration::from_secs(2), connection).await;
}

/// The whole request first: until then, its sender may be asked to make place for others.
async fn answer(request: Request<Incoming>, doorways: &Doorways, seat: &Seat) -> reply::Answer {
    let (head, body) = request.into_parts();
    let (body, _room) = match read(body, seat.crowd()).await {
        Ok(read) => read,
        Err(error) if is_ours(&head) => return reply::error(&error),
        Err(error) => return docker::refuse(&error),
    };
    let busy = seat.busy();
    seat.crowd().room_for_an_answer().await;
    crowd::hold(route(&head, body, doorways).await, busy)
}

fn is_ours(head: &Parts) -> bool {
    native::knows(head.uri.path()) || plugin::knows(head.uri.path())
}

async fn route(head: &Parts, body: Bytes, doorways: &Doorways) -> reply::Answer {
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/schema") => super::schema::schema(),
        (&Method::GET, "/metrics") => doorways.metrics.answer(&doorways.engine),
        (&Method::POST, path) if plugin::knows(path) => plugin::call(path, &body, doorways).await,
        (&Method::POST, path) if native::knows(path) => {
            let method = path.trim_start_matches('/').to_owned();
            native::call(&method, body, native::Wish::read(&head.headers), doorways).await
        }
        (method, path) if path == "/" || native::knows(path) => {
            let message =
                format!("{method} {path} is not known: POST /Network.Create and the like, or GET /schema");
            reply::error(&Error::not_found(message))
        }
        _ => docker::call(head, &body, doorways).await,
    }
}

/// The body, and the room that it takes if it is a large one.
async fn read(body: Incoming, crowd: &Crowd) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Error> {
    match tokio::time::timeout(PATIENCE, collect(body, crowd)).await {
        Ok(read) => read,
        Err(_) => Err(Error::invalid("the request's body did not come within 30 s")),
    }
}

async fn collect(mut body: Incoming, crowd: &Crowd) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Error> {
    let (mut all, mut room) = (Vec::new(), None);
    let bad = || Error::invalid(format!("read the request's body, {BODY} bytes at the most"));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| bad().because(error))?.into_data() else { continue };
        let length = all.len() + data.len();
        if length > BODY {
            return Err(bad().because("it is longer"));
        }
        if length > crowd::LIGHT && room.is_none() {
            room = crowd.heavy().await;
        }
        all.extend_from_slice(&data);
    }
    // Short and manifold is large, too.
    if weigh(&all)? > HEAVY && room.is_none() {
        room = crowd.heavy().await;
    }
    Ok((all.into(), room))
}
