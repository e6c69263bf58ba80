//! The smallest service: one hook, then wait. Send it SIGTERM.
use graceshut::{Options, install};

fn main() -> Result<(), graceshut::Error> {
    let gs = install(Options::default())?;
    gs.hook("flush", "buffers").run(|ctx| {
        println!("flushing, {:?} left", ctx.remaining());
        Ok(())
    })?;
    println!("ready");
    let finished = gs.wait(None)?;
    std::process::exit(finished.exit.code)
}
