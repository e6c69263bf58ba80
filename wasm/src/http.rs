//! `http_request`: one request to a host that was granted. The guest says what it wants as text; the address that is called
//! is put together anew from the parts that were checked, so that nobody reads it in another way.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// The longest request.
const REQUEST_LIMIT: usize = 1 << 20;
/// The largest body of an answer; more is refused, not cut.
pub(crate) const BODY_LIMIT: usize = 1 << 20;
const HEAD_LIMIT: usize = 64 << 10;
const METHODS: [&str; 6] = ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD"];
/// Headers that say where a message ends or goes: they are the client's own.
const OWN_HEADERS: [&str; 7] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "proxy-connection"];

/// Methods that may be used with one host and port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HttpGrant {
    methods: Vec<String>,
    tls: bool,
    /// `host:port`, as written, in lower case.
    authority: String,
}

impl HttpGrant {
    /// `PUT,POST 127.0.0.1:8500`
    pub(crate) fn parse(text: &str) -> Result<HttpGrant, String> {
        let Some((methods, host)) = text.trim().split_once(char::is_whitespace) else {
            return Err(format!("http: {text:?}: write methods, a space, host and port, as in \"PUT 127.0.0.1:8500\""));
        };
        let methods: Vec<&str> = methods.split(',').collect();
        let grant = HttpGrant::unchecked(&methods, host.trim());
        grant.check().map(|()| grant)
    }

    pub(crate) fn unchecked(methods: &[&str], host: &str) -> HttpGrant {
        let (tls, authority) = match (host.strip_prefix("https://"), host.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => (false, host),
        };
        let methods = methods.iter().map(|m| (*m).to_owned()).collect();
        HttpGrant { methods, tls, authority: authority.trim_end_matches('/').to_ascii_lowercase() }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(m) = self.methods.iter().find(|m| !METHODS.contains(&m.as_str())) {
            return Err(format!("http: {m:?} is none of {}", METHODS.join(", ")));
        }
        if self.methods.is_empty() {
            return Err(format!("http: {}: say which methods, as in \"PUT 127.0.0.1:8500\"", self.authority));
        }
        if !is_authority(&self.authority) {
            return Err(format!("http: {:?} is no host and port; write \"PUT 127.0.0.1:8500\"", self.authority));
        }
        if self.tls && cfg!(not(feature = "tls")) {
            return Err(format!("http: https://{}: this build has no TLS; build with the feature \"tls\"", self.authority));
        }
        Ok(())
    }
}

/// `name:port` or `[v6]:port`, the port in 1..=65535 without a leading zero, so that one address has one spelling.
fn is_authority(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let number = port.parse::<u16>().ok().filter(|n| *n > 0 && n.to_string() == port);
    let name = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    number.is_some() && !host.is_empty() && (name || v6.is_some_and(|v| v.parse::<std::net::Ipv6Addr>().is_ok()))
}

/// Why a request was not made or not answered, as the guest sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// The text is no request.
    Malformed,
    /// Not granted.
    Denied,
    /// No connection, no answer, an answer that is no HTTP.
    Failed,
    /// The request, or the answer's body, is too large.
    TooLarge,
}

/// Why, for programs and for people.
pub(crate) type Trouble = (Refused, String);

/// A request that was granted.
#[derive(Debug)]
pub(crate) struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// `METHOD URL`, headers, an empty line, the body; lines end with a line feed.
    pub(crate) fn parse(text: &[u8], grants: &[HttpGrant]) -> Result<Request, Trouble> {
        small(text.len())?;
        let (head, body) = match text.windows(2).position(|w| w == b"\n\n") {
            Some(at) => (&text[..at], &text[at + 2..]),
            None => (text.strip_suffix(b"\n").unwrap_or(text), &b""[..]),
        };
        let head = std::str::from_utf8(head).map_err(|_| malformed("the head is not UTF-8"))?;
        let mut lines = head.split('\n');
        let (method, url) =
            lines.next().and_then(|l| l.split_once(' ')).ok_or_else(|| malformed("the first line is not METHOD URL"))?;
        Request::checked(method, url, lines.map(|l| l.split_once(':')), body, grants)
    }

    /// The same from its parts.
    pub(crate) fn of(
        (method, url): (&str, &str),
        headers: &[(String, String)],
        body: &[u8],
        grants: &[HttpGrant],
    ) -> Result<Request, Trouble> {
        let lines = headers.iter().map(|(name, value)| name.len() + value.len());
        small(lines.fold(method.len() + url.len() + body.len(), usize::saturating_add))?;
        let headers = headers.iter().map(|(name, value)| Some((name.as_str(), value.as_str())));
        Request::checked(method, url, headers, body, grants)
    }

    fn checked<'a>(
        method: &str,
        url: &str,
        headers: impl Iterator<Item = Option<(&'a str, &'a str)>>,
        body: &[u8],
        grants: &[HttpGrant],
    ) -> Result<Request, Trouble> {
        let (tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(malformed("the address does not begin with http:// or https://")),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let mut authority = authority.to_ascii_lowercase();
        if authority.rsplit_once(':').is_none_or(|(_, port)| port.contains(']')) {
            authority.push_str(if tls { ":443" } else { ":80" });
        }
        if !is_authority(&authority) || !path.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\') {
            return Err(malformed("the address holds what none may (user, fragment, space, or a port that is none)"));
        }
        let allowed = |g: &&HttpGrant| g.tls == tls && g.authority == authority;
        let mut hosts = grants.iter().filter(allowed).peekable();
        if hosts.peek().is_none() {
            return Err((Refused::Denied, format!("http: {authority} is not granted; grant \"{method} {authority}\"")));
        }
        if !hosts.any(|g| g.methods.iter().any(|m| m == method)) {
            return Err((Refused::Denied, format!("http: {method} to {authority} is not granted, other methods are")));
        }
        let headers =
            headers.map(|h| header(h?)).collect::<Option<Vec<_>>>().ok_or_else(|| malformed("a header that may not be"))?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        let url = format!("{}://{authority}{slash}{path}", if tls { "https" } else { "http" });
        Ok(Request { method: method.to_owned(), url, headers, body: body.to_owned() })
    }

    /// Makes the request. Blocks; ends by itself one to two seconds after `limit`: not at the moment at
    /// which its hook is stopped, whose place would then be lost. Redirects are not followed: the guest sees them.
    pub(crate) fn send(self, limit: Duration) -> Result<Answer, Trouble> {
        let failed = |e: &dyn std::fmt::Display| (Refused::Failed, format!("http: {} {}: {e}", self.method, self.url));
        let mut request = minreq::Request::new(method_of(&self.method), &self.url)
            .with_follow_redirects(false)
            .with_max_headers_size(HEAD_LIMIT)
            .with_max_status_line_length(HEAD_LIMIT)
            .with_header("User-Agent", concat!("graceshut/", env!("CARGO_PKG_VERSION")))
            .with_timeout(limit.as_secs().saturating_add(2))
            .with_headers(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        if !self.body.is_empty() {
            request = request.with_body(self.body.clone());
        }
        let response = request.send_lazy().map_err(|e| failed(&e))?;
        let status = response.status_code;
        let headers = response.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        let mut body = Vec::new();
        response.take(BODY_LIMIT as u64 + 1).read_to_end(&mut body).map_err(|e| failed(&e))?;
        if body.len() > BODY_LIMIT {
            let why = format!("http: {} {}: the answer is larger than {BODY_LIMIT} bytes", self.method, self.url);
            return Err((Refused::TooLarge, why));
        }
        Ok(Answer { status, headers, body })
    }
}

/// What a server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The status, headers, an empty line, the body.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = format!("{}\n", self.status);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\n");
        }
        text.push('\n');
        [text.as_bytes(), &self.body].concat()
    }
}

fn malformed(why: &str) -> Trouble {
    (Refused::Malformed, why.to_owned())
}

fn small(size: usize) -> Result<(), Trouble> {
    let why = || format!("http: a request has at most {REQUEST_LIMIT} bytes");
    if size > REQUEST_LIMIT { Err((Refused::TooLarge, why())) } else { Ok(()) }
}

fn header((name, value): (&str, &str)) -> Option<(String, String)> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let sound = !name.is_empty() && name.bytes().all(token) && !value.chars().any(char::is_control);
    let own = OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str());
    (sound && !own).then(|| (name.to_owned(), value.trim().to_owned()))
}

fn method_of(name: &str) -> minreq::Method {
    match name {
        "GET" => minreq::Method::Get,
        "PUT" => minreq::Method::Put,
        "DELETE" => minreq::Method::Delete,
        "PATCH" => minreq::Method::Patch,
        "HEAD" => minreq::Method::Head,
        _ => minreq::Method::Post,
    }
}

/// The grants of one hook, shared with its run.
pub(crate) type HttpGrants = Arc<[HttpGrant]>;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Request, Refused> {
        let grants = [HttpGrant::parse("PUT,GET 127.0.0.1:8500").unwrap(), HttpGrant::parse("GET [::1]:80").unwrap()];
        Request::parse(text.as_bytes(), &grants).map_err(|(kind, _)| kind)
    }

    #[test]
    fn a_granted_request_is_put_together_from_its_parts() {
        let r = parse("PUT http://127.0.0.1:8500/v1/x?a=b\nX-Token: t\n\nbody\n\nmore").unwrap();
        assert_eq!(r.url, "http://127.0.0.1:8500/v1/x?a=b");
        assert_eq!(r.headers, [("X-Token".to_owned(), "t".to_owned())]);
        assert_eq!(r.body, b"body\n\nmore");
        assert_eq!(parse("GET http://127.0.0.1:8500").unwrap().url, "http://127.0.0.1:8500/");
        assert_eq!(parse("GET http://[::1]/x").unwrap().url, "http://[::1]:80/x");
    }

    #[test]
    fn what_is_not_granted_is_denied() {
        assert_eq!(parse("DELETE http://127.0.0.1:8500/").unwrap_err(), Refused::Denied);
        assert_eq!(parse("PUT http://127.0.0.1:8501/").unwrap_err(), Refused::Denied);
        assert_eq!(parse("PUT http://127.0.0.1/").unwrap_err(), Refused::Denied);
        assert_eq!(parse("PUT http://localhost:8500/").unwrap_err(), Refused::Denied);
        assert_eq!(parse("PUT https://127.0.0.1:8500/").unwrap_err(), Refused::Denied);
        assert_eq!(parse("put http://127.0.0.1:8500/").unwrap_err(), Refused::Denied);
    }

    #[test]
    fn tricks_with_the_address_and_headers_are_malformed() {
        for text in [
            "",
            "PUT",
            "PUT 127.0.0.1:8500/",
            "PUT http://127.0.0.1:8500@evil:80/",
            "PUT http://evil:80#127.0.0.1:8500/",
            "PUT http://127.0.0.1:8500\\@evil/",
            "PUT http://127.0.0.1:08500/",
            "PUT http://127.0.0.1:8500/a b",
            "PUT http://127.0.0.1:8500/ HTTP/1.1\r\nHost: evil",
            "PUT http://127.0.0.1:8500/\nHost: evil",
            "PUT http://127.0.0.1:8500/\nTransfer-Encoding: chunked",
            "PUT http://127.0.0.1:8500/\nX: a\r\nHost: evil",
            "PUT http://127.0.0.1:8500/\nno header",
        ] {
            assert_eq!(parse(text).unwrap_err(), Refused::Malformed, "{text:?}");
        }
    }

    #[test]
    fn grants_that_are_none() {
        for text in
            ["127.0.0.1:8500", "PUT 127.0.0.1", "FETCH 127.0.0.1:80", "PUT a b:80", "PUT x:0", "PUT u@x:80", "PUT x:80/y"]
        {
            assert!(HttpGrant::parse(text).is_err(), "{text}");
        }
    }
}
