//! Answers on the wire: JSON values, errors with their status, and streams of JSON lines.
use crate::error::{Error, Kind};
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::{
    Response, StatusCode,
    body::{Body, Bytes, Frame, SizeHint},
    header,
};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::mpsc;

pub type Answer = Response<BoxBody<Bytes, Infallible>>;

/// The status of each kind.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Exhausted => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            bytes(status, "application/json", body.into())
        }
        Err(error) => bytes(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string().into()),
    }
}

pub fn error(error: &Error) -> Answer {
    json(status(error.kind), error)
}

pub fn bytes(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Pieces(body).boxed());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    answer
}

/// Given piece by piece, as the client takes them: hyper would take a whole one into its keeping, and its end would seem to
/// have come.
struct Pieces(Bytes);

const PIECE: usize = 64 << 10;

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let length = self.0.len().min(PIECE);
        let piece = self.0.split_to(length);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(piece))))
    }
    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

/// One JSON value a line, as they come, until the sender is dropped.
pub fn lines(receiver: mpsc::Receiver<Bytes>) -> Answer {
    let mut answer = Response::new(Lines(receiver).boxed());
    let kind = header::HeaderValue::from_static("application/x-ndjson");
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

/// A value as a line.
pub fn line(value: &impl serde::Serialize) -> Bytes {
    let mut body = serde_json::to_vec(value).unwrap_or_default();
    body.push(b'\n');
    body.into()
}

struct Lines(mpsc::Receiver<Bytes>);

impl Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts go by the number alone.
    #[test]
    fn every_kind_has_a_status_of_its_own() {
        for (kind, wanted) in [
            (Kind::Invalid, 400),
            (Kind::Denied, 403),
            (Kind::NotFound, 404),
            (Kind::Conflict, 409),
            (Kind::Internal, 500),
            (Kind::Unsupported, 501),
            (Kind::Unavailable, 503),
            (Kind::Exhausted, 507),
        ] {
            assert_eq!(error(&Error::new(kind, "it failed")).status().as_u16(), wanted, "{kind:?}");
        }
    }
}
