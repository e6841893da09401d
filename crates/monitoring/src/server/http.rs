//! Requests and their answers.

use super::ServerOptions;
use super::auth::Verdict;
use super::encoding::{accepts_gzip, gzip, names};
use super::past::{self, Answer, Past};
use super::reload::Reloading;
use crate::exposition::{Format, encode_named};
use crate::live;
use crate::registry::Registry;
use crate::table::Id;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// The live page needs its own script and style and nothing else; no other page may frame it.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                   base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// How long a scrape waits for families from elsewhere where there were none the last time.
const UNEXPECTED: Duration = Duration::from_millis(20);

/// The server's state that requests share.
pub(super) struct App {
    pub(super) options: ServerOptions,
    pub(super) web: Arc<Reloading>,
    registry: Registry,
    ready: Arc<AtomicBool>,
    past: Mutex<Past>,
    rendering: Semaphore,
    foreign: Arc<Semaphore>,
    /// Whether there were families from elsewhere the last time. Where there were none, a scrape does not wait long for the next.
    any_foreign: AtomicBool,
}

struct Reply {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    compressed: bool,
    /// How old it is, where it was made for another request.
    age: Option<f64>,
}

impl App {
    pub(super) fn new(registry: Registry, options: ServerOptions, web: Arc<Reloading>, ready: Arc<AtomicBool>) -> Self {
        Self {
            rendering: Semaphore::new(options.max_scrapes.max(1)),
            options,
            web,
            registry,
            ready,
            past: Mutex::default(),
            foreign: Arc::new(Semaphore::new(1)),
            any_foreign: AtomicBool::new(true),
        }
    }

    /// Whether the request may be answered at all; waits for its password to be checked.
    pub(super) async fn judge(&self, request: &Request<Incoming>, client: IpAddr) -> Verdict {
        self.web.passwords.judge(&self.web.current().users, header(request, header::AUTHORIZATION), client).await
    }

    pub(super) async fn answer(&self, request: Request<Incoming>, verdict: Verdict) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let scrape = path == "/metrics";
        let gzips = accepts_gzip(header(&request, header::ACCEPT_ENCODING));
        let mut reply = match verdict {
            Verdict::Busy => text(StatusCode::SERVICE_UNAVAILABLE, "too many passwords to check; yours will be\n"),
            Verdict::Denied => {
                text(StatusCode::UNAUTHORIZED, "a user name and password of the web configuration file are needed\n")
            }
            Verdict::Allowed if request.method() != Method::GET && request.method() != Method::HEAD => {
                text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n")
            }
            Verdict::Allowed if scrape => {
                let accept: Vec<_> =
                    request.headers().get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
                self.metrics(Format::negotiate(&accept.join(",")), names(request.uri().query().unwrap_or_default()))
                    .await
            }
            Verdict::Allowed => self.page(path, gzips),
        };
        if scrape {
            self.registry.each(|s| s.add(Id::Scrapes, &[reply.status.as_str()], 1));
        }
        if gzips
            && !reply.compressed
            && reply.body.len() > 512
            && let Some(body) = gzip(&reply.body)
        {
            (reply.body, reply.compressed) = (body.into(), true);
        }
        respond(reply)
    }

    async fn metrics(&self, format: Format, names: Vec<String>) -> Reply {
        let Ok(_permit) = self.rendering.try_acquire() else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "too many scrapes at once\n");
        };
        let begun = Instant::now();
        let mut body = encode_named(&self.registry.snapshot(), format, &names);
        if let Some(foreign) = self.foreign(format, names).await {
            let eof = body.strip_suffix("# EOF\n").map(str::len);
            body.truncate(eof.unwrap_or(body.len()));
            body.push_str(foreign.strip_suffix("# EOF\n").unwrap_or(&foreign));
            body.push_str(if eof.is_some() { "# EOF\n" } else { "" });
        }
        let seconds = begun.elapsed().as_secs_f64();
        self.registry.each(|s| s.observe(Id::ScrapeDuration, &[], seconds));
        plain(format.content_type(), body)
    }

    /// Remembers the values of now for the page's charts.
    pub(super) fn remember(&self) {
        let snapshot = self.registry.snapshot();
        self.past.lock().unwrap_or_else(PoisonError::into_inner).take(&snapshot, past::now());
    }

    /// Text from elsewhere, if it comes in time; a source that hangs costs one thread, not one per scrape.
    async fn foreign(&self, format: Format, names: Vec<String>) -> Option<String> {
        let source = Arc::clone(self.options.foreign.as_ref()?);
        let expected = self.any_foreign.load(Relaxed);
        let limit = if expected { self.options.foreign_timeout } else { self.options.foreign_timeout.min(UNEXPECTED) };
        let gate = Arc::clone(&self.foreign);
        let of_all = names.is_empty();
        let rendered = tokio::time::timeout(limit, async move {
            let permit = gate.acquire_owned().await.ok()?;
            let task = tokio::task::spawn_blocking(move || {
                let text = source.render(format, &names);
                drop(permit);
                text
            });
            task.await.ok()?.ok()
        });
        let text = rendered.await.ok().flatten();
        match &text {
            Some(_) if !of_all => {}
            Some(text) => self.any_foreign.store(!text.trim_end_matches("# EOF\n").is_empty(), Relaxed),
            None if expected => self.registry.each(|s| s.add(Id::SinkErrors, &[], 1)),
            None => {}
        }
        text
    }

    fn page(&self, path: &str, gzips: bool) -> Reply {
        match path {
            "/history" => {
                let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
                let Answer { body, compressed, age } = past.answer(gzips, past::now());
                Reply { compressed, age: Some(age), ..plain("application/json", body) }
            }
            "/healthz" => text(StatusCode::OK, "ok\n"),
            "/readyz" if self.ready.load(Relaxed) => text(StatusCode::OK, "ready\n"),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            _ => match live::asset(path) {
                Some((content_type, body)) => plain(content_type, body),
                None => text(StatusCode::NOT_FOUND, "not here; there are /, /metrics, /healthz and /readyz\n"),
            },
        }
    }
}

fn header(request: &Request<Incoming>, name: HeaderName) -> &str {
    request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

fn plain(content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    Reply { status: StatusCode::OK, content_type, body: body.into(), compressed: false, age: None }
}

fn text(status: StatusCode, body: &'static str) -> Reply {
    Reply { status, ..plain("text/plain; charset=utf-8", body) }
}

fn respond(reply: Reply) -> Response<Full<Bytes>> {
    let length = HeaderValue::from(reply.body.len());
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, fixed(reply.content_type));
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    headers.insert(header::VARY, fixed("Accept, Accept-Encoding"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, fixed(CSP));
    headers.insert(header::REFERRER_POLICY, fixed("no-referrer"));
    if reply.compressed {
        headers.insert(header::CONTENT_ENCODING, fixed("gzip"));
    }
    // `Age` has whole seconds only.
    if let Some(age) = reply.age.and_then(|age| HeaderValue::from_str(&format!("{age:.3}")).ok()) {
        headers.insert(HeaderName::from_static("x-age"), age);
    }
    match reply.status {
        StatusCode::METHOD_NOT_ALLOWED => headers.insert(header::ALLOW, fixed("GET, HEAD")),
        StatusCode::UNAUTHORIZED => headers.insert(header::WWW_AUTHENTICATE, fixed("Basic realm=\"joyfuljay\"")),
        StatusCode::SERVICE_UNAVAILABLE => headers.insert(header::RETRY_AFTER, fixed("1")),
        _ => None,
    };
    response
}
