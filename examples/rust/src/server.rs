//! A server on hyper that refuses in words before it closes its listener.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

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
/// Nobody has come for this long: the listener can be closed.
const QUIET: Duration = Duration::from_millis(150);
const LOOK: Duration = Duration::from_millis(10);

/// The listener and what is open.
#[derive(Clone)]
pub struct Server {
    listener: Arc<TcpListener>,
    work: InFlight,
    shared: Arc<Shared>,
}

struct Shared {
    open: AtomicUsize,
    began: Instant,
    /// Milliseconds after `began`.
    last_accept: AtomicU64,
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
    pub async fn bind(port: u16, work: InFlight) -> io::Result<Server> {
        let listener = Arc::new(TcpListener::bind(("127.0.0.1", port)).await?);
        let shared = Shared {
            open: AtomicUsize::new(0),
            began: Instant::now(),
            last_accept: AtomicU64::new(0),
            end: watch::Sender::new(End::No),
        };
        Ok(Server { listener, work, shared: Arc::new(shared) })
    }

    /// Accepts until [`stop`](Server::stop) closes the listener.
    pub async fn serve(self) {
        let mut end = self.shared.end.subscribe();
        loop {
            let stream = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = end.wait_for(|e| *e >= End::Listener) => return,
            };
            // Out of descriptors, or a client that went away: the next one may have more luck.
            let Ok((stream, _)) = stream else {
                tokio::time::sleep(LOOK).await;
                continue;
            };
            self.shared.last_accept.store(self.now(), SeqCst);
            self.shared.open.fetch_add(1, SeqCst);
            tokio::spawn(self.clone().connection(stream));
        }
    }

    /// The hook in `drain`: the listener stays open and answers 503 until nobody has come for a while, since closing it
    /// earlier would reset those who wait in its queue; keep-alive connections are told with their next answer.
    pub async fn stop(&self, ctx: &Context) {
        let began = self.now();
        let patience = ctx.remaining().map_or(Duration::from_secs(1), |left| (left / 3).min(Duration::from_secs(1)));
        while Instant::now() < self.shared.began + Duration::from_millis(began) + patience && !ctx.cancelled() {
            let since = self.now() - self.shared.last_accept.load(SeqCst).max(began);
            if self.shared.open.load(SeqCst) == 0 && Duration::from_millis(since) > QUIET {
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

    fn now(&self) -> u64 {
        u64::try_from(self.shared.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn connection(self, stream: TcpStream) {
        // An answer that does not fill a packet leaves at once; without it, it is only slower.
        let _ = stream.set_nodelay(true);
        let work = self.work;
        let service = service_fn(move |request| answer(request, work));
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

async fn answer(request: Request<Incoming>, work: InFlight) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match request.uri().path() {
        "/readyz" if work.page().word() >= STOPPING => (StatusCode::SERVICE_UNAVAILABLE, ""),
        "/readyz" => (StatusCode::OK, ""),
        "/work" => do_work(request, &work).await,
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
