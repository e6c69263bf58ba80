//! An echo server on tokio: a hook that is a future, and every connection counted as work in flight.
//!
//! Try it: `cargo run -p graceshut --example tokio`, connect with `nc 127.0.0.1 PORT`, then press Ctrl-C. The connection that
//! is open goes on until its peer closes it or its time is over; a new one is refused.

use std::time::Duration;

use graceshut::{InFlight, Options, Runtime, install};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    run()
}

/// Called by the tests as well.
pub fn run() -> Result<(), Box<dyn std::error::Error>> {
    let tokio = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let gs = install(Options { serving: Some(true), ..Options::default() })?;

    // A hook as a future: it runs on tokio's own threads, and is cancelled like every other.
    let spawner = tokio.handle().clone();
    gs.hook("flush", "buffers").timeout(Duration::from_secs(2)).future(
        move |work| drop(spawner.spawn(work)),
        |ctx| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            println!("flushed, {:?} left", ctx.remaining());
            Ok(())
        },
    )?;

    let listener = tokio.block_on(TcpListener::bind("127.0.0.1:0"))?;
    println!("listening on {}", listener.local_addr()?);
    tokio.spawn(accept(listener, gs.inflight()));
    println!("ready");
    leave(&gs)
}

async fn accept(listener: TcpListener, work: InFlight) {
    while let Ok((stream, _)) = listener.accept().await {
        // None from the start of `drain` on: the connection is closed, unanswered.
        let Some(guard) = work.enter() else { continue };
        tokio::spawn(async move {
            echo(stream).await;
            drop(guard);
        });
    }
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        let Some(said) = buffer.get(..n) else { return };
        if stream.write_all(said).await.is_err() {
            return;
        }
    }
}

fn leave(gs: &Runtime) -> Result<(), Box<dyn std::error::Error>> {
    let finished = gs.wait(None)?;
    std::process::exit(finished.exit.code)
}
