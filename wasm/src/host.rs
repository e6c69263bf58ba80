//! What a guest may ask the host. How it asks is `abi.rs` for core modules and `component.rs` for components.

use std::time::Duration;

use graceshut::clock::At;
use graceshut::signal_name;

use crate::guest::Guest;
use crate::http::{Answer, Refused, Request, Trouble};
use crate::state;

/// The longest line of log; the rest is cut.
const LINE: usize = 8 << 10;
/// The longest text that `set_error` keeps, and the longest key.
const ERROR: usize = 1 << 10;

/// As much of a text as is kept; what is no UTF-8 is replaced.
fn cut(text: &[u8], most: usize) -> String {
    String::from_utf8_lossy(&text[..text.len().min(most)]).into_owned()
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

impl Guest {
    pub(crate) fn say(&self, level: i32, line: &[u8]) {
        self.log.line(level, &cut(line, LINE));
    }

    pub(crate) fn set_error(&mut self, text: &[u8]) {
        self.error = Some(cut(text, ERROR));
    }

    /// What it returned as its error. One without words says nothing: what it set before, or was refused last, stands for it.
    pub(crate) fn words(&self, returned: &str) -> String {
        if !returned.is_empty() {
            return cut(returned.as_bytes(), ERROR);
        }
        let set = self.error.clone().or_else(|| self.trouble.clone());
        set.unwrap_or_else(|| "returned an error without words".to_owned())
    }

    /// `None` where there is no deadline.
    pub(crate) fn remaining_ms(&self) -> Option<u64> {
        self.context.remaining().map(millis)
    }

    pub(crate) fn extend(&self, ms: u64) -> u64 {
        if ms == 0 { 0 } else { millis(self.context.extend(Duration::from_millis(ms))) }
    }

    /// What `context_read` answers.
    pub(crate) fn context_value(&self, key: &[u8]) -> Option<String> {
        let key = &*cut(key, ERROR);
        let (context, reason) = (&self.context, self.context.reason());
        if let Some(key) = key.strip_prefix("config.") {
            return self.config.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
        }
        match key {
            "hook" => Some(context.name().to_owned()),
            "phase" => Some(context.phase().to_owned()),
            "language" => Some(context.language().to_owned()),
            "run_id" => Some(context.run_id().to_owned()),
            "reason" => Some(reason.kind.word().to_owned()),
            "message" => reason.message,
            "signal" => reason.signo.and_then(signal_name).map(str::to_owned),
            "abandoned" => Some(context.abandoned().join("\n")),
            _ => None,
        }
    }

    pub(crate) fn state_get(&self, key: &[u8]) -> Option<Vec<u8>> {
        state::get(self.context.run_id(), key)
    }

    /// False when there is no room.
    pub(crate) fn state_put(&self, key: &[u8], value: &[u8]) -> bool {
        state::put(self.context.run_id(), key, value)
    }

    /// Makes a request. What goes wrong is also logged, and said by the report if the run fails.
    pub(crate) async fn request(&mut self, request: Result<Request, Trouble>) -> Result<Answer, Trouble> {
        let answer = answer(request, self.context.deadline()).await;
        if let Err((_, why)) = &answer {
            self.log.line(3, why);
            self.trouble = Some(why.clone());
        }
        answer
    }
}

/// The client blocks, so it has a thread of its own; the hook's deadline does not wait for that thread.
async fn answer(request: Result<Request, Trouble>, deadline: At) -> Result<Answer, Trouble> {
    let request = request?;
    let limit = if deadline.is_never() { Duration::from_secs(3600) } else { deadline - At::now() };
    let sent = tokio::task::spawn_blocking(move || request.send(limit)).await;
    sent.unwrap_or_else(|_| Err((Refused::Failed, "http: the client failed".to_owned())))
}
