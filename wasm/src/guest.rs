//! What one run of a guest has: its grants turned into WASI, its limits, its place in the log.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Task, Poll};

use bytes::Bytes;
use graceshut::Context;
use tokio::io::AsyncWrite;
use wasmtime::ResourceLimiter;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, WasiView};

use crate::http::HttpGrants;
use crate::spec::{Access, Grants};

/// Most elements in all tables together.
const TABLE_LIMIT: usize = 100_000;
/// Most instances, memories and tables of a component; a module is one.
const PARTS_LIMIT: usize = 100;
/// Most files, streams and timers at a time.
const RESOURCE_LIMIT: usize = 10_000;
/// The most random bytes at a time.
const RANDOM_LIMIT: u64 = 64 << 10;
/// What one run may log; then one line says that it was cut.
const LOG_LIMIT: usize = 256 << 10;
/// A line without an end is passed on in pieces of this size.
const PIECE: usize = 8 << 10;

/// The data of a guest's store.
pub(crate) struct Guest {
    /// Not there for a guest that never waits: it imports nothing of WASI.
    wasi: Option<WasiP1Ctx>,
    pub(crate) context: Context,
    pub(crate) config: Arc<[(String, String)]>,
    pub(crate) http: HttpGrants,
    pub(crate) log: Log,
    pub(crate) limits: Limits,
    /// The host function it called last.
    pub(crate) at: Option<&'static str>,
    /// What it gave to `set_error`.
    pub(crate) error: Option<String>,
    /// Why a host function said no, last.
    pub(crate) trouble: Option<String>,
}

impl Guest {
    /// # Errors
    /// A granted folder that cannot be opened.
    pub(crate) fn new(
        context: &Context,
        grants: &Grants,
        http: &HttpGrants,
        memory: u64,
        waits: bool,
    ) -> Result<Guest, String> {
        let log = Log { context: context.clone(), left: Arc::new(Mutex::new(LOG_LIMIT)) };
        let wasi = if waits { Some(wasi(context.name(), grants, &log)?) } else { None };
        Ok(Guest {
            wasi,
            context: context.clone(),
            config: grants.config.clone().into(),
            http: Arc::clone(http),
            log,
            limits: Limits { memory: usize::try_from(memory).unwrap_or(usize::MAX), ..Limits::default() },
            at: None,
            error: None,
            trouble: None,
        })
    }

    pub(crate) fn wasi(&mut self) -> &mut WasiP1Ctx {
        // One without grants, for a guest that was not to have any.
        self.wasi.get_or_insert_with(|| WasiCtxBuilder::new().build_p1())
    }
}

/// The grants as WASI has them.
fn wasi(name: &str, grants: &Grants, log: &Log) -> Result<WasiP1Ctx, String> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.arg(name).args(&grants.args).envs(&grants.env).max_random_size(RANDOM_LIMIT);
    wasi.stdout(Pipe::new(log, 2)).stderr(Pipe::new(log, 3));
    wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    for dir in &grants.dirs {
        let perms = if dir.access == Access::ReadWrite { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        wasi.preopened_dir(&dir.host, &dir.guest, perms)
            .map_err(|e| format!("cannot open the granted folder {}: {e:#}", dir.host.display()))?;
    }
    let mut wasi = wasi.build_p1();
    wasi.ctx().table.set_max_capacity(RESOURCE_LIMIT);
    Ok(wasi)
}

/// What a guest may grow to.
#[derive(Default)]
pub(crate) struct Limits {
    memory: usize,
    tables: usize,
    /// All memories together. None of them shrinks.
    pub(crate) used: usize,
    /// A growth was refused.
    pub(crate) reached: Option<&'static str>,
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, max: Option<usize>) -> wasmtime::Result<bool> {
        if max.is_some_and(|max| desired > max) {
            return Ok(false); // its own limit, which the engine asks after only now
        }
        let total = self.used.saturating_add(desired.saturating_sub(current));
        if total > self.memory {
            self.reached = Some("memory");
            return Ok(false);
        }
        self.used = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, max: Option<usize>) -> wasmtime::Result<bool> {
        if max.is_some_and(|max| desired > max) {
            return Ok(false);
        }
        let total = self.tables.saturating_add(desired.saturating_sub(current));
        if total > TABLE_LIMIT {
            self.reached = Some("table");
            return Ok(false);
        }
        self.tables = total;
        Ok(true)
    }

    fn memories(&self) -> usize {
        PARTS_LIMIT
    }

    fn tables(&self) -> usize {
        PARTS_LIMIT
    }

    fn instances(&self) -> usize {
        PARTS_LIMIT
    }
}

/// The host's log, as far as one guest may fill it.
#[derive(Clone)]
pub(crate) struct Log {
    context: Context,
    left: Arc<Mutex<usize>>,
}

impl Log {
    /// Levels: 0 trace, 1 debug, 2 info, 3 warning, 4 error.
    pub(crate) fn line(&self, level: i32, line: &str) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if *left == 0 {
            return;
        }
        // A line costs at least what its bookkeeping does.
        let cost = line.len().max(64);
        *left = left.saturating_sub(cost);
        let cut = *left == 0;
        drop(left);
        let word = match level {
            ..=0 => "trace: ",
            1 => "debug: ",
            2 => "",
            3 => "warning: ",
            4.. => "error: ",
        };
        self.context.log(&format!("{word}{line}"));
        if cut {
            self.context.log("warning: the hook logs more than 256 KiB; the rest is not shown");
        }
    }
}

/// Standard output or error of a guest: lines for the host's log.
#[derive(Clone)]
struct Pipe {
    log: Log,
    level: i32,
    begun: Arc<Mutex<Vec<u8>>>,
}

impl Pipe {
    fn new(log: &Log, level: i32) -> Pipe {
        Pipe { log: log.clone(), level, begun: Arc::default() }
    }

    fn take(&self, bytes: &[u8]) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            begun.extend_from_slice(part);
            if part.ends_with(b"\n") || begun.len() >= PIECE {
                self.say(&mut begun);
            }
        }
    }

    fn say(&self, begun: &mut Vec<u8>) {
        let line = String::from_utf8_lossy(begun);
        self.log.line(self.level, line.trim_end_matches(['\n', '\r']));
        begun.clear();
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // The last line need not end with a line feed. Streams made from this one share its bytes.
        if Arc::strong_count(&self.begun) == 1 {
            let mut begun = std::mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner));
            if !begun.is_empty() {
                self.say(&mut begun);
            }
        }
    }
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {}
}

impl OutputStream for Pipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PIECE)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
