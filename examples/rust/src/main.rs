//! The demo service in Rust: hyper on tokio, and a shutdown that loses nothing.
//!
//! GET and POST /work take about 20 ms; GET /readyz turns 503 with the signal, while /work is served on; from `drain` on
//! every answer says `Connection: close` and new work gets 503. Try it:
//!
//!     graceshut verify --ready http://127.0.0.1:8080/readyz --load http://127.0.0.1:8080/work -- graceshut-demo-service

mod server;

use std::time::Duration;

use graceshut::{Context, HookResult, Options, Runtime, install};

/// A hook that does nothing but say so.
fn said(ctx: &Context) -> HookResult {
    println!("trace {}/{}", ctx.phase(), ctx.name());
    Ok(())
}

fn hooks(gs: &Runtime) -> Result<(), graceshut::Error> {
    gs.hook("announce", "deregister").run(said)?;
    gs.hook("flush", "buffers").run(|ctx| {
        ctx.sleep(Duration::from_millis(10))?;
        said(ctx)
    })?;
    gs.hook("flush", "offsets").run(said)?;
    gs.hook("close", "pool").run(said)?;
    gs.hook("close", "files").run(said)?;
    gs.hook("final", "telemetry").run(|ctx| {
        println!("trace final/telemetry after {}", ctx.reason().kind.word());
        Ok(())
    })?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    graceshut_wasm::enable(); // `wasm` hooks in graceshut.toml
    let gs = install(Options { grace: Some(Duration::from_secs(10)), serving: Some(true), ..Options::default() })?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let port: u16 = std::env::var("PORT").map_or(Ok(8080), |p| p.parse())?;
    let (server, listener) = tokio.block_on(server::Server::bind(port, gs.inflight()))?;

    let (spawner, stopping) = (tokio.handle().clone(), server.clone());
    gs.hook("drain", "server").future(
        move |work| drop(spawner.spawn(work)),
        |ctx| async move {
            stopping.stop(&ctx).await;
            println!("trace drain/server");
            Ok(())
        },
    )?;
    hooks(&gs)?;

    tokio.spawn(server.serve(listener));
    println!("ready");
    std::process::exit(gs.wait(None)?.exit.code)
}
