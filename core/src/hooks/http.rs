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
    Ok(())
}

#[cfg(not(feature = "http"))]
pub(crate) fn run(_spec: &HttpSpec, _context: &Context) -> HookResult {
    Err(crate::hook::HookError::failed("this build has no http hooks"))
}

#[cfg(feature = "http")]
pub(crate) fn run(spec: &HttpSpec, context: &Context) -> HookResult {
    use crate::hook::HookError;
    use std::time::Duration;

    // A request cannot be cancelled halfway: it gets its whole box, less what it takes to say that it timed out.
    let limit = context.remaining().map(|r| r.saturating_sub((r / 10).min(Duration::from_millis(50))));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(limit)
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("graceshut/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let method = if spec.method.is_empty() { "POST" } else { spec.method.as_str() };
    let mut request = ureq::http::Request::builder().method(method).uri(&spec.url);
    for (name, value) in &spec.headers {
        request = request.header(name, value);
    }
    let failed = |e: String| HookError::failed(format!("{method} {}: {e}", spec.url));
    let body = spec.body.clone().unwrap_or_default();
    let request = request.body(body).map_err(|e| failed(e.to_string()))?;
    let response = agent.run(request).map_err(|e| failed(e.to_string()))?;
    let status = response.status().as_u16();
    if (200..300).contains(&status) || spec.accept.contains(&status) {
        Ok(())
    } else {
        Err(failed(format!("answered {status}")))
    }
}
