//! What was asked, and the bytes of an answer. One request a connection; nothing in here waits.

use crate::config::Token;

/// The largest request line and headers.
pub(super) const LARGEST: usize = 4096;
/// The largest body that is let in (and ignored).
const LARGEST_BODY: u64 = 4096;
/// The most headers.
const HEADERS: usize = 48;

/// Who is at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Peer {
    /// On loopback, or the same user on a Unix socket.
    Near,
    /// Anybody else.
    Far,
}

/// What to do about a request.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// It has not arrived as a whole.
    More,
    /// `/livez`.
    Livez { body: bool },
    /// `/readyz`.
    Readyz { body: bool },
    /// `/status`.
    Status { body: bool },
    /// `/prestop`, by somebody who may.
    Prestop,
    /// Refused, with this status, an extra header line, and words.
    Refused(u16, &'static str, &'static str),
}

/// Reads a request.
pub(super) fn read(bytes: &[u8], peer: Peer, token: Option<&Token>) -> Asked {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => route(&request, peer, token),
        Ok(httparse::Status::Partial) if bytes.len() < LARGEST => Asked::More,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            Asked::Refused(431, "", "the request is larger than 4096 bytes or has more than 48 headers")
        }
        Err(_) => Asked::Refused(400, "", "this is no HTTP/1 request"),
    }
}

fn route(request: &httparse::Request<'_, '_>, peer: Peer, token: Option<&Token>) -> Asked {
    let header = |name: &str| request.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value);
    if let Some(length) = header("content-length") {
        match std::str::from_utf8(length).ok().and_then(|l| l.trim().parse::<u64>().ok()) {
            Some(n) if n <= LARGEST_BODY => {}
            Some(_) => return Asked::Refused(413, "", "no request here needs a body"),
            None => return Asked::Refused(400, "", "Content-Length is no number"),
        }
    }
    let path = request.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let body = match request.method.unwrap_or_default() {
        "GET" => true,
        "HEAD" if path != "/prestop" => false,
        "POST" if path == "/prestop" => true,
        _ if path == "/prestop" => return Asked::Refused(405, "Allow: GET, POST\r\n", "GET or POST"),
        _ if matches!(path, "/livez" | "/readyz" | "/status") => {
            return Asked::Refused(405, "Allow: GET, HEAD\r\n", "GET or HEAD");
        }
        _ => return Asked::Refused(404, "", "/livez, /readyz, /status and /prestop are here"),
    };
    match path {
        "/livez" => Asked::Livez { body },
        "/readyz" => Asked::Readyz { body },
        "/status" => Asked::Status { body },
        "/prestop" => {
            // A page in a browser on this machine is on loopback too, and no friend.
            let by_a_page = header("origin").is_some() || header("sec-fetch-site").is_some();
            let given = header("authorization").and_then(|v| v.strip_prefix(b"Bearer "));
            match (token, given) {
                (Some(token), Some(given)) if token.is(given) => Asked::Prestop,
                (_, None) if peer == Peer::Near && !by_a_page => Asked::Prestop,
                (None, _) => Asked::Refused(403, "", "from here this needs a token, and none is configured: set admin_token"),
                _ => {
                    Asked::Refused(401, "WWW-Authenticate: Bearer\r\n", "Authorization: Bearer with the admin_token is wanted")
                }
            }
        }
        _ => Asked::Refused(404, "", "/livez, /readyz, /status and /prestop are here"),
    }
}

/// The bytes of an answer; `extra` are whole header lines.
pub(super) fn answer(status: u16, extra: &str, json: bool, content: &str, body: bool) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    };
    let kind = if json { "application/json" } else { "text/plain" };
    let length = content.len() + 1;
    let mut text = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\nConnection: close\r\n{extra}\r\n"
    );
    if body {
        text.push_str(content);
        text.push('\n');
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn refused(text: &str, peer: Peer, token: Option<&Token>) -> u16 {
        match read(text.as_bytes(), peer, token) {
            Asked::Refused(status, ..) => status,
            other => panic!("{text:?} is {other:?}"),
        }
    }

    #[test]
    fn routes_and_refusals() {
        let ask = |text: &str| read(format!("{text} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(), Peer::Near, None);
        assert_eq!(ask("GET /livez"), Asked::Livez { body: true });
        assert_eq!(ask("HEAD /readyz?verbose"), Asked::Readyz { body: false });
        assert_eq!(ask("GET /status"), Asked::Status { body: true });
        assert_eq!((ask("GET /prestop"), ask("POST /prestop")), (Asked::Prestop, Asked::Prestop));
        for (text, status) in [
            ("HEAD /prestop", 405),
            ("DELETE /prestop", 405),
            ("POST /livez", 405),
            ("GET /", 404),
            ("GET /livez/", 404),
            ("POST /x", 404),
            ("OPTIONS *", 404),
        ] {
            assert_eq!(refused(&format!("{text} HTTP/1.1\r\n\r\n"), Peer::Near, None), status, "{text}");
        }
        assert_eq!(read(b"GET /livez HTTP/1.1\r\nHo", Peer::Near, None), Asked::More);
        assert_eq!(read(b"", Peer::Near, None), Asked::More);
        assert_eq!(refused("\0\u{1}\u{2}\r\n", Peer::Near, None), 400);
        assert_eq!(refused("GET /livez HTTP/2.0\r\n\r\n", Peer::Near, None), 400);
        assert_eq!(refused(&format!("GET /{}", "x".repeat(LARGEST)), Peer::Near, None), 431);
        assert_eq!(refused(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS + 1)), Peer::Near, None), 431);
        assert_eq!(refused("POST /prestop HTTP/1.1\r\nContent-Length: 4097\r\n\r\n", Peer::Near, None), 413);
        assert_eq!(refused("POST /prestop HTTP/1.1\r\nContent-Length: -1\r\n\r\n", Peer::Near, None), 400);
    }

    #[test]
    fn who_may_ask_for_a_prestop() {
        let token = Token::new("0123456789abcdef").unwrap();
        let with = |header: &str| format!("POST /prestop HTTP/1.1\r\n{header}\r\n");
        let (plain, page, right, wrong) = (
            with(""),
            with("Origin: http://evil.example\r\n"),
            with("authorization: Bearer 0123456789abcdef\r\n"),
            with("Authorization: Bearer 0123456789abcdeg\r\n"),
        );
        assert_eq!(read(plain.as_bytes(), Peer::Near, None), Asked::Prestop);
        assert_eq!(read(plain.as_bytes(), Peer::Near, Some(&token)), Asked::Prestop);
        assert_eq!(read(right.as_bytes(), Peer::Far, Some(&token)), Asked::Prestop);
        assert_eq!(refused(&plain, Peer::Far, Some(&token)), 401);
        assert_eq!(refused(&wrong, Peer::Far, Some(&token)), 401);
        assert_eq!(refused(&wrong, Peer::Near, Some(&token)), 401, "a wrong token is wrong everywhere");
        assert_eq!(refused(&right, Peer::Far, None), 403);
        assert_eq!(refused(&plain, Peer::Far, None), 403);
        assert_eq!(refused(&page, Peer::Near, None), 403);
        assert_eq!(refused(&with("Sec-Fetch-Site: cross-site\r\n"), Peer::Near, Some(&token)), 401);
        assert_eq!(refused(&with("Authorization: Basic 0123456789abcdef\r\n"), Peer::Far, Some(&token)), 401);
    }

    #[test]
    fn an_answer_is_whole() {
        let text = String::from_utf8(answer(503, "", false, "stopping", true)).unwrap();
        assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n") && text.contains("Content-Length: 9\r\n"), "{text}");
        assert!(text.ends_with("Connection: close\r\n\r\nstopping\n"), "{text}");
        assert!(String::from_utf8(answer(200, "", false, "ok", false)).unwrap().ends_with("\r\n\r\n"), "HEAD has no body");
    }
}
