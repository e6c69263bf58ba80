//! A server on hyper that refuses in words before it closes its listener.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use graceshut::clock::At;
use graceshut::listener::{LOOK, Linger, Seen};
use graceshut::{Context, InFlight};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The word of the shared page (spec 9.1).
const STOPPING: u32 = 1;
const DRAINING: u32 = 2;

/// What is open. The listener is [`serve`](Server::serve)'s own, which ends with it closed.
#[derive(Clone)]
pub struct Server {
    listener: RawFd,
    work: InFlight,
    shared: Arc<Shared>,
}

struct Shared {
    open: AtomicUsize,
    /// A client came with work, since it was asked last.
    came: AtomicBool,
    /// How far the end has come.
    end: watch::Sender<End>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum End {
    No,
    /// No more connections are taken.
    Listener,
    /// Idle connections are closed.
    Idle,
}

impl Server {
    /// Listens on the loopback.
    pub async fn bind(port: u16, work: InFlight) -> io::Result<(Server, TcpListener)> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let shared = Shared { open: AtomicUsize::new(0), came: AtomicBool::new(false), end: watch::Sender::new(End::No) };
        Ok((Server { listener: listener.as_raw_fd(), work, shared: Arc::new(shared) }, listener))
    }

    /// Accepts until [`stop`](Server::stop) says that the listener is to be closed.
    pub async fn serve(self, listener: TcpListener) {
        let mut end = self.shared.end.subscribe();
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = end.wait_for(|e| *e >= End::Listener) => return,
            };
            // Out of descriptors, or a client that went away: the next one may have more luck.
            let Ok((stream, _)) = stream else {
                tokio::time::sleep(LOOK).await;
                continue;
            };
            self.shared.open.fetch_add(1, SeqCst);
            tokio::spawn(self.clone().connection(stream));
        }
    }

    /// The hook in `drain`: refuses in words until the listener can be closed without cutting anybody off; keep-alive
    /// connections are told with their next answer.
    pub async fn stop(&self, ctx: &Context) {
        let mut linger = Linger::new(At::now(), ctx.remaining());
        while !ctx.cancelled() {
            let came = self.shared.came.swap(false, SeqCst);
            let seen = Seen { came, connected: came, busy: self.shared.open.load(SeqCst) > 0, listeners: &[self.listener] };
            if linger.step(At::now(), seen) {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        self.shared.end.send_replace(End::Listener);
        self.shared.end.send_replace(End::Idle);
        while self.shared.open.load(SeqCst) > 0 && !ctx.cancelled() {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn connection(self, stream: TcpStream) {
        // An answer that does not fill a packet leaves at once; without it, it is only slower.
        let _ = stream.set_nodelay(true);
        let (work, shared) = (self.work, Arc::clone(&self.shared));
        let service = service_fn(move |request| answer(request, work, Arc::clone(&shared)));
        let mut connection = std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        let mut end = self.shared.end.subscribe();
        let told = tokio::select! {
            _ = &mut connection => false,
            _ = end.wait_for(|e| *e == End::Idle) => true,
        };
        if told {
            connection.as_mut().graceful_shutdown();
            // A client that went away is none of ours.
            let _ = connection.await;
        }
        self.shared.open.fetch_sub(1, SeqCst);
    }
}

async fn answer(request: Request<Incoming>, work: InFlight, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match request.uri().path() {
        "/readyz" if work.page().word() >= STOPPING => (StatusCode::SERVICE_UNAVAILABLE, ""),
        "/readyz" => (StatusCode::OK, ""),
        "/work" => {
            shared.came.store(true, SeqCst);
            do_work(request, &work).await
        }
        _ => (StatusCode::NOT_FOUND, "not here\n"),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    if work.page().word() >= DRAINING {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

async fn do_work(request: Request<Incoming>, work: &InFlight) -> (StatusCode, &'static str) {
    // The body is read whatever the answer is: what is left unread when a connection is closed resets it.
    let body = request.into_body().collect().await;
    let Some(_unit) = work.enter() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n");
    };
    if body.is_err() {
        return (StatusCode::BAD_REQUEST, "");
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    (StatusCode::OK, "done\n")
}
