//! Connections: accepted, bounded in number, size and time, and handed to the doorway that knows the path.
use super::{metrics::Metrics, native, reply};
use crate::{
    engine::Engine,
    error::{Error, Kind},
};
use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
};

/// Bytes of a request's body at the most: 10,000 ports take 0.7 MB.
const BODY: usize = 4 << 20;
/// Connections at once; the next one waits in the kernel's queue.
const CONNECTIONS: usize = 1_024;
/// How long a client may take for its request's head, and for its body.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all doorways share.
#[derive(Clone)]
pub struct Doorways {
    pub engine: Engine,
    pub metrics: Arc<Metrics>,
}

/// Accepts until `stop` turns true.
pub async fn serve(listener: UnixListener, doorways: Doorways, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut refused = false;
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                refused = false;
                let (doorways, stop) = (doorways.clone(), stop.clone());
                tokio::spawn(async move {
                    converse(stream, doorways, stop).await;
                    drop(place);
                });
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

async fn converse(stream: UnixStream, doorways: Doorways, mut stop: watch::Receiver<bool>) {
    let service = service_fn(|request| {
        let doorways = doorways.clone();
        async move { Ok::<_, std::convert::Infallible>(route(request, &doorways).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_headers(64).half_close(true);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    tokio::select! {
        // A client that goes away in the middle is no error of ours.
        _ = connection.as_mut() => return,
        () = stopped => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(Duration::from_secs(2), connection).await;
}

async fn route(request: Request<Incoming>, doorways: &Doorways) -> reply::Answer {
    let (head, body) = request.into_parts();
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/schema") => super::schema::schema(),
        (&Method::GET, "/metrics") => doorways.metrics.answer(&doorways.engine),
        (&Method::POST, path) => {
            let method = path.trim_start_matches('/').to_owned();
            let stream = head.headers.get("accept").is_some_and(|kind| kind == "application/x-ndjson");
            match read(body).await {
                Ok(body) => native::call(&method, body, stream, doorways).await,
                Err(error) => reply::error(&error),
            }
        }
        (method, path) => {
            let message =
                format!("{method} {path} is not known: POST /Network.Create and the like, or GET /schema");
            reply::json(StatusCode::NOT_FOUND, &Error::new(Kind::NotFound, message))
        }
    }
}

async fn read(body: Incoming) -> Result<Bytes, Error> {
    let limited = Limited::new(body, BODY).collect();
    match tokio::time::timeout(PATIENCE, limited).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => {
            Err(Error::invalid(format!("read the request's body, {BODY} bytes at the most")).because(error))
        }
        Err(_) => Err(Error::invalid("the request's body did not come within 30 s")),
    }
}
