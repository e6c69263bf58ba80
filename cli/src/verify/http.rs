//! As much HTTP/1.1 as a strict client needs: where exactly does an answer end, and did it get there.
//!
//! [`Answer`] takes bytes and knows nothing of sockets, so that every way of cutting an answer short can be tested.

use super::target::Url;

/// A response head beyond this is no answer.
const HEAD_LIMIT: usize = 64 * 1024;

/// The bytes of one request, in one piece: they go to the kernel in one write.
pub fn request(url: &Url, post: bool, id: &str, close: bool) -> Vec<u8> {
    let connection = if close { "Connection: close\r\n" } else { "" };
    let (path, host) = (&url.path, url.host_header());
    let agent = concat!("graceshut-verify/", env!("CARGO_PKG_VERSION"));
    let common = format!("Host: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\nX-Request-Id: {id}\r\n{connection}");
    if post {
        let body = format!("{{\"request_id\":\"{id}\"}}");
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\n{common}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
    } else {
        format!("GET {path} HTTP/1.1\r\n{common}\r\n")
    }
    .into_bytes()
}

/// Where in an answer we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Head,
    /// A body of known length, of which this much is missing.
    Sized {
        missing: u64,
        total: u64,
    },
    ChunkSize,
    /// In a chunk: this much is missing, its final CRLF included.
    ChunkData {
        missing: u64,
    },
    Trailers,
    /// A body that ends where the connection ends.
    UntilClose,
    Done,
}

/// One answer, taking shape.
#[derive(Debug)]
pub struct Answer {
    buffer: Vec<u8>,
    stage: Stage,
    /// The status of the final response, once its head is there.
    pub status: u16,
    keep_alive: bool,
    started: bool,
}

impl Answer {
    /// Nothing has come yet.
    pub fn new() -> Answer {
        Answer { buffer: Vec::new(), stage: Stage::Head, status: 0, keep_alive: false, started: false }
    }

    /// Takes what the socket gave. `Ok(true)`: the answer is complete. `Err`: this is not HTTP, and why.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<bool, String> {
        self.started |= !bytes.is_empty();
        self.buffer.extend_from_slice(bytes);
        while self.advance()? {}
        Ok(self.stage == Stage::Done)
    }

    /// The connection ended in good order. True if that was the end of the answer too.
    pub fn end_of_stream(&mut self) -> bool {
        if self.stage == Stage::UntilClose {
            self.stage = Stage::Done;
        }
        self.stage == Stage::Done
    }

    /// True once a single byte of an answer has come.
    pub fn started(&self) -> bool {
        self.started
    }

    /// After a complete answer: may the connection be used again? Bytes beyond the answer forbid it.
    pub fn keeps_connection(&self) -> bool {
        self.keep_alive && self.stage == Stage::Done && self.buffer.is_empty()
    }

    /// Where an answer that never got complete stopped.
    pub fn position(&self) -> String {
        match self.stage {
            _ if !self.started => "before the first byte of the answer".into(),
            Stage::Head => "in the head of the answer".into(),
            Stage::Sized { missing, total } => format!("in the body, after {} of {total} bytes", total - missing),
            Stage::ChunkSize | Stage::ChunkData { .. } | Stage::Trailers => "in the chunked body".into(),
            Stage::UntilClose => "in the body".into(),
            Stage::Done => "after the answer".into(),
        }
    }

    /// Goes one step on; false if more bytes are needed or none are.
    fn advance(&mut self) -> Result<bool, String> {
        match self.stage {
            Stage::Head => self.head(),
            Stage::Sized { missing, total } => {
                let missing = self.skip(missing);
                self.stage = if missing == 0 { Stage::Done } else { Stage::Sized { missing, total } };
                Ok(false)
            }
            Stage::ChunkSize => self.chunk_size(),
            Stage::ChunkData { missing } => self.chunk_data(missing),
            Stage::Trailers => self.trailer(),
            Stage::UntilClose => {
                self.buffer.clear();
                Ok(false)
            }
            Stage::Done => Ok(false),
        }
    }

    /// Drops up to `wanted` bytes; how many are still missing.
    fn skip(&mut self, wanted: u64) -> u64 {
        let here = usize::try_from(wanted).unwrap_or(usize::MAX).min(self.buffer.len());
        self.buffer.drain(..here);
        wanted - here as u64
    }

    fn head(&mut self) -> Result<bool, String> {
        let mut headers = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(&self.buffer) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if self.buffer.len() > HEAD_LIMIT => return Err("its head never ends".into()),
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(e) => return Err(format!("its head is not HTTP: {e}")),
        };
        let status = response.code.unwrap_or(0);
        if (100..200).contains(&status) && status != 101 {
            // An interim answer (100 Continue, 103 Early Hints): the real one follows.
            self.buffer.drain(..length);
            return Ok(true);
        }
        let framing = Framing::of(&response)?;
        self.status = status;
        self.keep_alive = framing.keep_alive;
        self.stage = framing.stage;
        self.buffer.drain(..length);
        Ok(true)
    }

    fn chunk_size(&mut self) -> Result<bool, String> {
        match httparse::parse_chunk_size(&self.buffer) {
            Ok(httparse::Status::Complete((length, size))) => {
                self.buffer.drain(..length);
                self.stage = match size {
                    0 => Stage::Trailers,
                    n => Stage::ChunkData { missing: n.checked_add(2).ok_or("a chunk is impossibly long")? },
                };
                Ok(true)
            }
            Ok(httparse::Status::Partial) if self.buffer.len() > HEAD_LIMIT => Err("a chunk size never ends".into()),
            Ok(httparse::Status::Partial) => Ok(false),
            Err(_) => Err("a chunk size is not a number".into()),
        }
    }

    fn chunk_data(&mut self, missing: u64) -> Result<bool, String> {
        let missing = if missing > 2 { self.skip(missing - 2) + 2 } else { missing };
        self.stage = Stage::ChunkData { missing };
        if missing > 2 || self.buffer.len() < 2 {
            return Ok(false);
        }
        if !self.buffer.starts_with(b"\r\n") {
            return Err("a chunk is longer than it said".into());
        }
        self.skip(2);
        self.stage = Stage::ChunkSize;
        Ok(true)
    }

    fn trailer(&mut self) -> Result<bool, String> {
        let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") else {
            return if self.buffer.len() > HEAD_LIMIT { Err("its trailers never end".into()) } else { Ok(false) };
        };
        self.buffer.drain(..end + 2);
        if end == 0 {
            self.stage = Stage::Done;
        }
        Ok(true)
    }
}

/// How the body of a response ends, by RFC 9112 section 6.3.
struct Framing {
    stage: Stage,
    keep_alive: bool,
}

impl Framing {
    fn of(response: &httparse::Response<'_, '_>) -> Result<Framing, String> {
        let mut length: Option<u64> = None;
        let mut coded = false;
        let mut chunked = false;
        let mut close = false;
        let mut keep = false;
        for header in response.headers.iter() {
            let value = String::from_utf8_lossy(header.value);
            let tokens = || value.split(',').map(|t| t.trim().to_ascii_lowercase());
            if header.name.eq_ignore_ascii_case("content-length") {
                for token in tokens() {
                    let n = parse_length(&token).ok_or_else(|| format!("its Content-Length is {token:?}"))?;
                    if length.replace(n).is_some_and(|before| before != n) {
                        return Err("it has two different lengths".into());
                    }
                }
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                coded = true;
                chunked = tokens().next_back().as_deref() == Some("chunked");
            } else if header.name.eq_ignore_ascii_case("connection") {
                close |= tokens().any(|t| t == "close");
                keep |= tokens().any(|t| t == "keep-alive");
            }
        }
        let stage = match (response.code, length) {
            (Some(101 | 204 | 304), _) => Stage::Done,
            _ if chunked => Stage::ChunkSize,
            _ if coded => Stage::UntilClose,
            (_, Some(total)) => Stage::Sized { missing: total, total },
            (_, None) => Stage::UntilClose,
        };
        let persistent = if response.version == Some(0) { keep } else { true };
        let keep_alive = persistent && !close && stage != Stage::UntilClose && response.code != Some(101);
        Ok(Framing { stage, keep_alive })
    }
}

/// Digits and nothing else: `parse` alone would take a plus sign.
fn parse_length(token: &str) -> Option<u64> {
    token.bytes().all(|b| b.is_ascii_digit()).then(|| token.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// A complete answer is complete at its last byte and at none before, however it is cut into pieces.
    fn complete_exactly_at_end(text: &[u8]) -> Answer {
        for piece in [1, 2, 3, 7, text.len()] {
            let mut answer = Answer::new();
            let mut seen = 0;
            for part in text.chunks(piece) {
                seen += part.len();
                let done = answer.feed(part).unwrap();
                assert_eq!(done, seen == text.len(), "piece {piece}, after {seen} of {} bytes", text.len());
            }
        }
        let mut answer = Answer::new();
        assert!(answer.feed(text).unwrap());
        answer
    }

    #[test]
    fn sized_body() {
        let answer = complete_exactly_at_end(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(answer.status, 200);
        assert!(answer.keeps_connection());
    }

    #[test]
    fn chunked_body_with_extension_and_trailers() {
        let text = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: gzip, chunked\r\n\r\n\
            5;x=y\r\nhello\r\n1\r\n\r\r\n0\r\nA: b\r\nC: d\r\n\r\n";
        let answer = complete_exactly_at_end(text);
        assert_eq!(answer.status, 201);
        assert!(answer.keeps_connection());
    }

    #[test]
    fn no_body() {
        assert!(complete_exactly_at_end(b"HTTP/1.1 204 No Content\r\n\r\n").keeps_connection());
        assert!(complete_exactly_at_end(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").keeps_connection());
        assert!(complete_exactly_at_end(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").keeps_connection());
    }

    #[test]
    fn interim_answers_are_not_the_answer() {
        let answer = complete_exactly_at_end(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        );
        assert_eq!(answer.status, 200);
    }

    #[test]
    fn connection_header_is_honoured() {
        let keeps = |text: &[u8]| complete_exactly_at_end(text).keeps_connection();
        assert!(!keeps(b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx"));
        assert!(!keeps(b"HTTP/1.1 200 OK\r\nConnection: foo, close\r\nContent-Length: 1\r\n\r\nx"));
        assert!(!keeps(b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"));
        assert!(keeps(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"));
    }

    #[test]
    fn bytes_beyond_the_answer_end_the_connection() {
        let mut answer = Answer::new();
        assert!(answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 408").unwrap());
        assert!(!answer.keeps_connection());
    }

    #[test]
    fn body_until_close() {
        let mut answer = Answer::new();
        assert!(!answer.feed(b"HTTP/1.1 200 OK\r\n\r\nsome").unwrap());
        assert!(!answer.feed(b"thing").unwrap());
        assert!(answer.end_of_stream());
        assert!(!answer.keeps_connection());
    }

    #[test]
    fn says_where_it_was_cut() {
        let cut = |text: &[u8]| {
            let mut answer = Answer::new();
            assert!(!answer.feed(text).unwrap());
            assert!(!answer.end_of_stream(), "{:?}", String::from_utf8_lossy(text));
            answer.position()
        };
        assert_eq!(cut(b""), "before the first byte of the answer");
        assert_eq!(cut(b"HTTP/1.1 200"), "in the head of the answer");
        assert_eq!(cut(b"HTTP/1.1 100 Continue\r\n\r\n"), "in the head of the answer");
        assert_eq!(cut(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabcd"), "in the body, after 4 of 9 bytes");
        assert_eq!(cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc"), "in the chunked body");
        assert_eq!(cut(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"), "in the chunked body");
    }

    #[test]
    fn refuses_nonsense() {
        for text in [
            &b"SSH-2.0-OpenSSH_9.0\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
        ] {
            assert!(Answer::new().feed(text).is_err(), "{:?}", String::from_utf8_lossy(text));
        }
        let endless = vec![b'a'; HEAD_LIMIT + 10];
        let mut answer = Answer::new();
        answer.feed(b"HTTP/1.1 200 OK\r\nX: ").unwrap();
        assert!(answer.feed(&endless).is_err());
    }

    #[test]
    fn a_request_is_one_piece() {
        let url = Url::parse("http://127.0.0.1:8080/a?b").unwrap();
        let text = String::from_utf8(request(&url, true, "id-1", false)).unwrap();
        assert!(text.starts_with("POST /a?b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"));
        assert!(text.contains("X-Request-Id: id-1\r\n"));
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "{\"request_id\":\"id-1\"}");
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
        let text = String::from_utf8(request(&url, false, "id-2", true)).unwrap();
        assert!(text.starts_with("GET /a?b HTTP/1.1\r\n") && text.contains("Connection: close\r\n"));
        assert!(text.ends_with("\r\n\r\n"));
    }
}
