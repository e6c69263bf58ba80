//! The hooks of `examples/hooks`, as committed: against a real registry (etcd) and a real folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{SECOND, Stage, cache_folder, play};
use graceshut_wasm::{Access, Wasm};

/// Compiled beforehand: the compiler itself is not optimised in a test, and takes seconds for a libc.
fn example(name: &str) -> Wasm {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hooks").join(name);
    cache_folder();
    graceshut_wasm::compile(std::fs::read(&file).unwrap(), false, SECOND * 300).unwrap();
    Wasm::file(file)
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("wasm-examples-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// etcd with its HTTP gateway, on ports and in a folder of its own.
struct Etcd {
    child: Child,
    address: String,
    folder: PathBuf,
}

impl Etcd {
    fn start() -> Option<Etcd> {
        let (folder, address) = (folder("etcd"), format!("127.0.0.1:{}", free_port()));
        let (clients, peers) = (format!("http://{address}"), format!("http://127.0.0.1:{}", free_port()));
        let spawned = Command::new("etcd")
            .arg("--data-dir")
            .arg(folder.join("data"))
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = spawned else {
            println!("skipped: etcd is not on this machine");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "and this is CI, where nothing may be skipped");
            return None;
        };
        let etcd = Etcd { child, address, folder };
        let began = Instant::now();
        while !etcd.post("/v3/kv/range", r#"{"key": "eA=="}"#).contains("\"header\"") {
            assert!(began.elapsed() < SECOND * 60, "etcd does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(etcd)
    }

    /// What the gateway answers; empty while nobody does.
    fn post(&self, path: &str, body: &str) -> String {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(&self.address)?;
            stream.set_read_timeout(Some(SECOND * 10))?;
            let length = body.len();
            write!(stream, "POST {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n{body}", self.address)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().unwrap_or_default()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_service_is_taken_out_of_a_real_registry() {
    let Some(etcd) = Etcd::start() else { return };
    // "web-1" -> "10.0.0.1:80", and another one that has to stay.
    etcd.post("/v3/kv/put", r#"{"key": "d2ViLTE=", "value": "MTAuMC4wLjE6ODA="}"#);
    etcd.post("/v3/kv/put", r#"{"key": "d2ViLTI=", "value": "MTAuMC4wLjI6ODA="}"#);
    assert!(etcd.post("/v3/kv/range", r#"{"key": "d2ViLTE="}"#).contains("\"count\":\"1\""));
    let address = etcd.address.clone();
    let wasm = example("deregister.wasm")
        .http(&["POST"], &address)
        .config("url", &format!("http://{address}/v3/kv/deleterange"))
        .config("header", "Content-Type: application/json")
        .config("body", r#"{"key": "d2ViLTE="}"#);
    let (hook, _) = play(&wasm, SECOND * 10);
    assert_eq!(hook.outcome, "ok", "{hook:?}");
    assert!(!etcd.post("/v3/kv/range", r#"{"key": "d2ViLTE="}"#).contains("\"count\""), "web-1 is gone");
    assert!(etcd.post("/v3/kv/range", r#"{"key": "d2ViLTI="}"#).contains("\"count\":\"1\""), "web-2 is there");
}

#[test]
fn a_deregistration_that_fails_says_why() {
    let message = |wasm: Wasm| play(&wasm, SECOND * 10).0.message.unwrap();
    let port = free_port(); // nobody listens
    let url = format!("http://127.0.0.1:{port}/");
    let wasm = || example("deregister.wasm").config("url", &url);
    assert!(message(wasm().http(&["POST"], &format!("127.0.0.1:{port}"))).contains("the registry does not answer"));
    assert!(message(wasm().http(&["PUT"], &format!("127.0.0.1:{port}"))).contains("not granted"));
    assert!(message(example("deregister.wasm").http(&["PUT"], "127.0.0.1:1")).contains("config.url is missing"));
}

/// The endpoint is a stand-in: the answer of Istio's agent to the request it documents.
#[test]
fn a_sidecar_is_told_to_quit() {
    let agent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = agent.local_addr().unwrap().to_string();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = agent.accept().unwrap();
        stream.set_read_timeout(Some(SECOND * 10)).unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK").unwrap();
        String::from_utf8(request).unwrap()
    });
    let url = format!("http://{address}/quitquitquit");
    let (hook, _) = play(&example("deregister.wasm").http(&["POST"], &address).config("url", &url), SECOND * 10);
    assert_eq!(hook.outcome, "ok", "{hook:?}");
    let request = asked.join().unwrap();
    assert!(request.starts_with("POST /quitquitquit HTTP/1."), "{request}");
}

#[test]
fn a_final_state_is_written_and_spooled_files_are_moved() {
    let folder = folder("state");
    for name in ["state", "spool/new", "spool/done"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    for n in 0..3 {
        std::fs::write(folder.join(format!("spool/new/job-{n}")), "x").unwrap();
    }
    let stage = Stage::new();
    example("state.wasm")
        .dir("/state", folder.join("state"), Access::ReadWrite)
        .dir("/spool", folder.join("spool"), Access::ReadWrite)
        .register(stage.gs.hook("flush", "state").timeout(SECOND * 10))
        .unwrap();
    let hooks = stage.stop();
    assert_eq!(hooks[0].outcome, "ok", "{hooks:?}");
    let state = std::fs::read_to_string(folder.join("state/final.json")).unwrap();
    assert!(state.contains("\"reason\": \"stop\"") && state.contains("\"run_id\": \""), "{state}");
    assert_eq!(std::fs::read_dir(folder.join("spool/done")).unwrap().count(), 3);
    assert_eq!(std::fs::read_dir(folder.join("spool/new")).unwrap().count(), 0);
    assert!(stage.log(1).contains(&"3 files moved".to_owned()));
    drop(stage);
    // Without the grant it says what it lacks.
    let (hook, _) = play(&example("state.wasm"), SECOND * 10);
    assert!(hook.message.as_deref().unwrap().contains("/spool/new: "), "{hook:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}
