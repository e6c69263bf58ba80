//! What scenarios lean on: a process that sleeps, a server that answers what it is asked for.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// `sleep 60`, to be signalled.
pub struct Sleeper(Child);

impl Sleeper {
    /// Starts it.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn start() -> std::io::Result<Sleeper> {
        Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().map(Sleeper)
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// True when somebody ended it.
    pub fn is_gone(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|s| s.is_some())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Answers `/200` with 200 and keeps the first line of each request. Ends with the runner.
pub struct Server {
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts it.
    ///
    /// # Errors
    /// Of the operating system.
    pub fn start() -> std::io::Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut head = [0; 4096];
                let n = stream.read(&mut head).unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..n]).into_owned();
                let words: Vec<&str> = head.split_whitespace().take(2).collect();
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(words.join(" "));
                let status = words.get(1).and_then(|p| p.get(1..)).unwrap_or("404");
                let _ = write!(stream, "HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Ok(Server { address, requests })
    }

    /// Method and path of each request, sorted.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let mut all = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort();
        all
    }
}
