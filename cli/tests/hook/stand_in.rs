//! An HTTP server on loopback in place of a registry or a sidecar: it records what it is asked.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

pub struct Asked {
    /// Method and path.
    pub line: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// One request; `None` when the client went away, as the one that ends the server does.
    fn read(stream: &mut TcpStream) -> Option<Asked> {
        let mut bytes = Vec::new();
        loop {
            let mut room = [0; 4096];
            let n = stream.read(&mut room).ok().filter(|n| *n > 0)?;
            bytes.extend_from_slice(&room[..n]);
            let mut fields = [httparse::EMPTY_HEADER; 32];
            let mut request = httparse::Request::new(&mut fields);
            let httparse::Status::Complete(head) = request.parse(&bytes).unwrap() else { continue };
            let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
            let headers = request.headers.iter().map(|h| (h.name.to_ascii_lowercase(), text(h.value))).collect();
            let line = format!("{} {}", request.method.unwrap(), request.path.unwrap());
            let mut asked = Asked { line, headers, body: String::new() };
            let length = asked.header("content-length").map_or(0, |l| l.parse().unwrap());
            let mut body = bytes.split_off(head);
            let there = body.len();
            body.resize(length, 0);
            stream.read_exact(&mut body[there..]).ok()?;
            asked.body = String::from_utf8(body).unwrap();
            return Some(asked);
        }
    }
}

pub struct StandIn {
    /// Host and port.
    pub address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Status and body of an answer by the request's method and path.
    pub fn new(answer: impl Fn(&str) -> (u16, &'static str) + Send + 'static) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (asked, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (record, ended) = (asked.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let Some(asked) = Asked::read(&mut stream) else { continue };
                let (status, body) = answer(&asked.line);
                // Before the answer: who has that finds the record.
                record.lock().unwrap().push(asked);
                let head = format!("HTTP/1.1 {status} So\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all((head + body).as_bytes());
            }
        });
        StandIn { address, asked, over, thread: Some(thread) }
    }

    /// What was asked since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Methods and paths of it.
    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|a| a.line).collect()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
