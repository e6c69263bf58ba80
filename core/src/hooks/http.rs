//! One HTTP request as a hook (a registry, a sidecar's quit endpoint), its time limited by the hook's own.

use crate::config::HttpSpec;
use crate::error::{Error, ErrorKind};
use crate::hook::{Context, HookResult};

const METHODS: [&str; 6] = ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD"];

pub(crate) fn check(spec: &HttpSpec, name: &str) -> Result<(), Error> {
    let refuse = |what: String| Err(Error::new(ErrorKind::BadValue, format!("hook \"{name}\": {what}")));
    if !spec.method.is_empty() && !METHODS.contains(&spec.method.as_str()) {
        return refuse(format!("method \"{}\" is none of {}", spec.method, METHODS.join(", ")));
    }
    if cfg!(not(feature = "http")) {
        let message = format!("hook \"{name}\": this build has no http hooks; build with the `http` feature");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if spec.url.starts_with("https://") && cfg!(not(feature = "tls")) {
        let message = format!("hook \"{name}\": this build has no TLS; use http:// or build with the `tls` feature");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let rest = spec.url.strip_prefix("http://").or_else(|| spec.url.strip_prefix("https://"));
    if rest.is_none_or(|r| r.is_empty() || r.starts_with('/')) || spec.url.contains(char::is_whitespace) {
        return refuse(format!("\"{}\" is no URL; write http://host:port/path", spec.url));
    }
    let sound = |(name, value): &(String, String)| {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        !name.is_empty() && name.chars().all(token) && !value.chars().any(char::is_control)
    };
    if let Some((name, _)) = spec.headers.iter().find(|h| !sound(h)) {
        return refuse(format!("header {name:?}: a name is letters, digits and '-', a value holds no control character"));
    }
    Ok(())
}

#[cfg(not(feature = "http"))]
pub(crate) fn run(_spec: &HttpSpec, _context: &Context) -> HookResult {
    Err(crate::hook::HookError::failed("this build has no http hooks"))
}

#[cfg(feature = "http")]
pub(crate) fn run(spec: &HttpSpec, context: &Context) -> HookResult {
    use crate::hook::HookError;

    let method = if spec.method.is_empty() { "POST" } else { spec.method.as_str() };
    let failed = |e: String| HookError::failed(format!("{method} {}: {e}", spec.url));
    let mut request = minreq::Request::new(method_of(method), &spec.url)
        .with_follow_redirects(false)
        .with_header("User-Agent", concat!("graceshut/", env!("CARGO_PKG_VERSION")))
        .with_headers(spec.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    if let Some(body) = &spec.body {
        request = request.with_body(body.as_str());
    }
    // Whole seconds are what the client knows, so its own end comes at or after the hook's: the engine is exact, and the
    // worker is free again at most a second later.
    if let Some(left) = context.remaining() {
        request = request.with_timeout(left.as_secs() + 1);
    }
    // Only the status counts: the body is not read.
    let status = request.send_lazy().map_err(|e| failed(e.to_string()))?.status_code;
    if (200..300).contains(&status) || spec.accept.contains(&status) {
        Ok(())
    } else {
        Err(failed(format!("answered {status}")))
    }
}

#[cfg(feature = "http")]
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
