//! A registry of services, as far as the demo needs one: `PUT /v1/agent/service/deregister/NAME` takes NAME out.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const LEAVE: &str = "/v1/agent/service/deregister/";

/// The server, for as long as the program runs.
pub struct Registry {
    address: SocketAddr,
    left: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    /// Listens on the loopback.
    pub fn start() -> std::io::Result<Registry> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let registry = Registry { address: listener.local_addr()?, left: Arc::default() };
        let left = Arc::clone(&registry.left);
        std::thread::spawn(move || {
            for peer in listener.incoming().flatten() {
                // A peer that says nothing keeps the next one waiting no longer than this.
                let limited = peer.set_read_timeout(Some(Duration::from_secs(1)));
                if let Some(name) = limited.ok().and_then(|()| answer(peer).ok().flatten()) {
                    left.lock().unwrap_or_else(PoisonError::into_inner).push(name);
                }
            }
        });
        Ok(registry)
    }

    /// What a service needs to leave it: one hook, in no language's code.
    pub fn config(&self, wasm: &str, name: &str) -> std::io::Result<String> {
        let (wasm, address) = (std::fs::canonicalize(wasm)?, self.address);
        Ok(format!(
            "[[hook]]\nphase = \"announce\"\nname = \"registry\"\ntimeout = \"2s\"\n[hook.wasm]\npath = {:?}\n\
             http = [\"PUT {address}\"]\nconfig = {{ method = \"PUT\", url = \"http://{address}{LEAVE}{name}\" }}\n",
            wasm.display().to_string()
        ))
    }

    /// How often that service has left.
    pub fn times_left(&self, name: &str) -> usize {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|n| *n == name).count()
    }
}

/// Answers one request; the name of who leaves.
fn answer(peer: TcpStream) -> std::io::Result<Option<String>> {
    let mut lines = BufReader::new(&peer).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let name = first.strip_prefix("PUT ").and_then(|l| l.strip_prefix(LEAVE)).and_then(|l| l.split(' ').next());
    let status = if name.is_some() { "200 OK" } else { "404 Not Found" };
    write!(&peer, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(name.map(str::to_owned))
}
