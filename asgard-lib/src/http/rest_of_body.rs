//! What is left of a request's body when it is refused before it was read. A connection whose input was not read to its end
//! is closed, and on the way the client may lose the answer as well; so the rest is read after all and thrown away.

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

/// The most that is read for nothing; a client that sends more has to expect to be cut off.
const MAX: usize = 16 * 1024 * 1024;
/// How long the rest may take to arrive.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a body goes that its handler let go of.
#[derive(Clone, Default)]
pub(super) struct RestOfBody(Arc<Mutex<Option<Body>>>);

/// A body on loan to a handler.
struct Lent {
    body: Body,
    home: RestOfBody,
}

impl RestOfBody {
    /// Lends `body` out.
    pub(crate) fn lend(&self, body: Body) -> Body {
        if body.is_end_stream() { body } else { Body::new(Lent { body, home: self.clone() }) }
    }

    /// Reads what was given back unread, if it is not too much.
    pub(crate) async fn drain(&self) {
        let Some(mut body) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let announced = body.size_hint().lower();
        if body.is_end_stream() || usize::try_from(announced).map_or(true, |announced| announced > MAX) {
            return;
        }
        let read = async {
            let mut size = 0;
            while let Some(Ok(frame)) = body.frame().await
                && size < MAX
            {
                size += frame.data_ref().map_or(0, Bytes::len);
            }
        };
        // Whether it worked shows in the connection, not here.
        let _ = tokio::time::timeout(PATIENCE, read).await;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.home.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::mem::take(&mut self.body));
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_handler_leaves_is_read_and_what_is_too_much_is_not() {
        const CHUNK: usize = 64 * 1024;
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<()>();
        let counted = |chunks: usize| {
            let sender = sender.clone();
            Body::from_stream(futures_util::stream::iter(0..chunks).map(move |_| {
                sender.send(()).ok();
                Ok::<_, std::convert::Infallible>(vec![0_u8; CHUNK])
            }))
        };
        use futures_util::StreamExt;
        let rest = RestOfBody::default();
        drop(rest.lend(counted(8)));
        rest.drain().await;
        assert_eq!(receiver.len(), 8, "an unread body is read to its end");
        drop(rest.lend(counted(10 * MAX / CHUNK)));
        rest.drain().await;
        assert!(receiver.len() < 8 + 2 * MAX / CHUNK, "one without an end is not");
        let whole = rest.lend(Body::from("all of it"));
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "all of it");
        rest.drain().await;
    }
}
