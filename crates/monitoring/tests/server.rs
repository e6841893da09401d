//! The server over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use joyfuljay_monitoring::server::ForeignText;
use joyfuljay_monitoring::{
    Format, PrometheusMetrics, Registry, ServerError, ServerHandle, ServerOptions, start_server,
};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::time::Duration;

struct Reply {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Sends one request over any stream and reads to the end.
fn exchange(mut stream: impl Read + Write, request: &str, headers: &str) -> Reply {
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut all = vec![];
    stream.read_to_end(&mut all).unwrap();
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").expect("a whole header");
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers =
        lines.map(|l| l.split_once(": ").unwrap()).map(|(k, v)| (k.to_ascii_lowercase(), v.to_owned())).collect();
    Reply { status, headers, body: all[end + 4..].to_vec() }
}

fn connect(server: &ServerHandle) -> TcpStream {
    let stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn ask(server: &ServerHandle, request: &str, headers: &str) -> Reply {
    exchange(connect(server), request, headers)
}

fn registry() -> Registry {
    let registry = Registry::new();
    let metrics = PrometheusMetrics::new(&registry, "joyfuljay").unwrap();
    metrics.observe_packet(140);
    metrics.observe_flow("completed");
    registry
}

fn serve(options: ServerOptions) -> (ServerHandle, Registry) {
    let registry = registry();
    (start_server("127.0.0.1", 0, &registry, options).unwrap(), registry)
}

#[test]
fn a_scrape_is_negotiated_and_counted() {
    let (server, registry) = serve(ServerOptions::default());
    let plain = ask(&server, "GET /metrics", "");
    assert_eq!(
        (plain.status, plain.headers["content-type"].as_str()),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(plain.text().contains("\njoyfuljay_packets_total 1\n"));
    assert!(plain.text().contains("\njoyfuljay_flows_total{reason=\"completed\"} 1\n"));

    let open =
        ask(&server, "GET /metrics", "Accept: application/openmetrics-text;version=1.0.0\r\nAccept: */*;q=0.1\r\n");
    assert!(open.headers["content-type"].starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(open.text().ends_with("\n# EOF\n"));

    let some = ask(&server, "GET /metrics?name%5B%5D=joyfuljay_bytes_total", "");
    assert_eq!(some.text().lines().last(), Some("joyfuljay_bytes_total 140"));
    assert_eq!(some.text().lines().count(), 3);

    assert_eq!(registry.snapshot().value("joyfuljay_scrapes_total", &["200"]), Some(3.0));
}

#[test]
fn gzip_head_and_the_other_paths() {
    let (server, _) = serve(ServerOptions::default());
    let zipped = ask(&server, "GET /metrics", "Accept-Encoding: gzip\r\n");
    assert_eq!(zipped.headers["content-encoding"], "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(zipped.body.as_slice()).read_to_string(&mut text).unwrap();
    assert!(text.contains("joyfuljay_packets_total 1\n") && zipped.body.len() < text.len() / 3);

    let head = ask(&server, "HEAD /metrics", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.headers["content-length"].parse::<usize>().unwrap() > 1000);

    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] {
        let refused = ask(&server, &format!("{method} /metrics"), "Content-Length: 0\r\n");
        assert_eq!((refused.status, refused.headers["allow"].as_str()), (405, "GET, HEAD"), "{method}");
    }
    assert_eq!(ask(&server, "GET /healthz", "").text(), "ok\n");
    assert_eq!(ask(&server, "GET /readyz", "").status, 200);
    server.set_ready(false);
    assert_eq!(ask(&server, "GET /readyz", "").status, 503);
    for path in ["/metrics/", "/../etc/passwd", "/x", "//metrics"] {
        let lost = ask(&server, &format!("GET {path}"), "");
        assert_eq!((lost.status, lost.headers.contains_key("content-type")), (404, true), "{path}");
    }
    let page = ask(&server, "GET /", "");
    assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    assert!(page.headers["content-security-policy"].starts_with("default-src 'none'; script-src 'self'"));
    assert!(!page.headers.contains_key("access-control-allow-origin"));
}

#[test]
fn nonsense_and_oversize_headers_are_refused() {
    let (server, _) = serve(ServerOptions::default());
    let huge = format!("X: {}\r\n", "a".repeat(64 * 1024));
    let mut stream = connect(&server);
    let _ = stream.write_all(format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{huge}\r\n").as_bytes());
    let mut reply = [0; 12];
    // The server may close before it has taken everything; what it must not do is serve.
    let n = stream.read(&mut reply).unwrap_or(0);
    assert_ne!(&reply[..n], b"HTTP/1.1 200");
    let mut stream = connect(&server);
    stream.write_all(b"\x16\x03\x01 not http\r\n\r\n").unwrap();
    let mut all = String::new();
    let _ = stream.read_to_string(&mut all);
    assert!(all.is_empty() || all.starts_with("HTTP/1.1 400"), "{all}");
    assert_eq!(ask(&server, "GET /metrics", "").status, 200);
}

#[test]
fn a_taken_port_is_named_with_its_likely_cause() {
    let (server, registry) = serve(ServerOptions::default());
    let error = start_server("127.0.0.1", server.port(), &registry, ServerOptions::default()).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with(&format!("cannot listen on 127.0.0.1:{}: ", server.port())), "{message}");
    assert!(message.ends_with("another program has the port: choose another, or 0 for any free one"), "{message}");
    assert_eq!(error.io().map(std::io::Error::kind), Some(std::io::ErrorKind::AddrInUse));
    let nowhere = start_server("192.0.2.1", 0, &registry, ServerOptions::default()).unwrap_err();
    assert!(nowhere.to_string().contains("does not have the address"), "{nowhere}");
}

#[test]
fn closing_ends_the_server_and_frees_the_port() {
    let (server, registry) = serve(ServerOptions::default());
    let (addr, port) = (server.addr(), server.port());
    assert_eq!(server.url(), format!("http://127.0.0.1:{port}/"));
    let idle = connect(&server);
    server.close();
    assert!(TcpStream::connect(addr).is_err());
    drop(idle);
    let again = start_server("127.0.0.1", port, &registry, ServerOptions::default()).unwrap();
    assert_eq!(ask(&again, "GET /healthz", "").status, 200);
}

#[test]
fn only_an_open_server_on_a_public_address_warns() {
    let registry = registry();
    let (local, _) = serve(ServerOptions::default());
    assert_eq!(local.warning(), None);
    let public = start_server("0.0.0.0", 0, &registry, ServerOptions::default()).unwrap();
    assert!(public.warning().unwrap().contains("anyone who reaches this machine"));
    assert_eq!(public.url(), format!("http://localhost:{}/", public.port()));
}

#[test]
fn a_thousand_silent_and_half_open_connections_do_not_stop_a_scrape() {
    let (server, _) = serve(ServerOptions { max_connections: 200, ..ServerOptions::default() });
    let mut held = vec![];
    for i in 0..1000 {
        let mut stream = connect(&server);
        if i % 2 == 0 {
            // The server may have closed it already, to make room.
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: slow");
        }
        held.push(stream);
        if held.len() > 400 {
            // The test itself must not run out of descriptors.
            held.remove(0);
        }
        if i % 100 == 0 {
            assert_eq!(ask(&server, "GET /metrics", "").status, 200, "with {i} connections");
        }
    }
    for _ in 0..10 {
        assert_eq!(ask(&server, "GET /metrics", "").status, 200);
    }
}

#[test]
fn a_header_that_does_not_come_closes_the_connection() {
    let (server, _) = serve(ServerOptions { header_timeout: Duration::from_millis(200), ..ServerOptions::default() });
    for start in [&b""[..], b"GET /metrics HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = connect(&server);
        stream.write_all(start).unwrap();
        // connect() allows 30 s; an end within it is the server's doing.
        let mut all = vec![];
        stream.read_to_end(&mut all).unwrap();
        assert!(!all.starts_with(b"HTTP/1.1 200"));
    }
}

/// Waits until it is released.
struct Slow {
    entered: mpsc::SyncSender<()>,
    go: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl ForeignText for Slow {
    fn render(&self, format: Format, _: &[String]) -> Result<String, String> {
        let _ = self.entered.try_send(());
        let _ = self.go.lock().unwrap().recv();
        Ok(format!("foreign 1\n{}", if format == Format::OpenMetrics { "# EOF\n" } else { "" }))
    }
}

#[test]
fn scrapes_beyond_the_bound_are_told_to_come_back() {
    let (entered, wait) = mpsc::sync_channel(1);
    let (go, gone) = mpsc::channel();
    let slow = Arc::new(Slow { entered, go: std::sync::Mutex::new(gone) });
    let options = ServerOptions {
        max_scrapes: 1,
        foreign: Some(slow),
        foreign_timeout: Duration::from_secs(60),
        ..ServerOptions::default()
    };
    let (server, _) = serve(options);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| ask(&server, "GET /metrics", "Accept: application/openmetrics-text\r\n"));
        wait.recv().unwrap();
        let second = ask(&server, "GET /metrics", "");
        assert_eq!((second.status, second.headers["retry-after"].as_str()), (503, "1"));
        go.send(()).unwrap();
        let first = first.join().unwrap();
        assert!(first.text().ends_with("foreign 1\n# EOF\n") && first.text().matches("# EOF").count() == 1);
    });
}

#[test]
fn foreign_families_that_hang_are_left_out() {
    let (entered, _wait) = mpsc::sync_channel(1);
    let (go, gone) = mpsc::channel();
    let slow = Arc::new(Slow { entered, go: std::sync::Mutex::new(gone) });
    let options =
        ServerOptions { foreign: Some(slow), foreign_timeout: Duration::from_millis(100), ..ServerOptions::default() };
    let (server, registry) = serve(options);
    for _ in 0..3 {
        let reply = ask(&server, "GET /metrics", "");
        assert!(
            reply.status == 200
                && reply.text().contains("joyfuljay_packets_total 1\n")
                && !reply.text().contains("foreign")
        );
    }
    assert_eq!(registry.snapshot().value("joyfuljay_sink_errors_total", &[]), Some(3.0));
    drop(go);
}

#[test]
fn basic_authentication_guards_every_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.yml");
    std::fs::write(&file, format!("basic_auth_users:\n  ann: {}\n", bcrypt::hash("s3cret", 4).unwrap())).unwrap();
    let (server, registry) = serve(ServerOptions { web_config: Some(file), ..ServerOptions::default() });
    for path in ["/", "/metrics", "/healthz", "/nothing"] {
        let denied = ask(&server, &format!("GET {path}"), "");
        assert_eq!((denied.status, denied.headers["www-authenticate"].as_str()), (401, "Basic realm=\"joyfuljay\""));
    }
    assert_eq!(ask(&server, "GET /metrics", "Authorization: Basic YW5uOndyb25n\r\n").status, 401);
    assert_eq!(ask(&server, "GET /metrics", "Authorization: Basic YW5uOnMzY3JldA==\r\n").status, 200);
    assert_eq!(registry.snapshot().value("joyfuljay_scrapes_total", &["401"]), Some(2.0));
}

/// Asks until the answer has this status; the files are looked at once a second.
fn becomes(server: &ServerHandle, headers: &str, status: u16) -> bool {
    let until = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        if ask(server, "GET /metrics", headers).status == status {
            return true;
        }
        if std::time::Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_changed_password_is_in_force_and_a_spoilt_file_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.yml");
    let users = |password: &str| format!("basic_auth_users:\n  ann: {}\n", bcrypt::hash(password, 4).unwrap());
    std::fs::write(&file, users("s3cret")).unwrap();
    let (server, registry) = serve(ServerOptions { web_config: Some(file.clone()), ..ServerOptions::default() });
    let (old, new) = ("Authorization: Basic YW5uOnMzY3JldA==\r\n", "Authorization: Basic YW5uOm5ld2Vy\r\n");
    assert!(becomes(&server, old, 200) && becomes(&server, new, 401));

    std::fs::write(&file, users("newer") + "\n# another length\n").unwrap();
    assert!(becomes(&server, new, 200) && becomes(&server, old, 401));

    let reloads = |result: &str| registry.snapshot().value("joyfuljay_web_config_reloads_total", &[result]).unwrap();
    assert_eq!((reloads("success"), reloads("failure")), (1.0, 0.0));
    for (n, spoilt) in ["", "basic_auth_users:\n  ann: not a hash\n"].into_iter().enumerate() {
        std::fs::write(&file, spoilt).unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while reloads("failure") < n as f64 + 1.0 && std::time::Instant::now() < until {
            assert_eq!(ask(&server, "GET /metrics", "").status, 401, "open to all after {spoilt:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(reloads("failure"), n as f64 + 1.0);
        assert_eq!(ask(&server, "GET /metrics", new).status, 200);
    }
}

/// A web configuration with one user, ann:s3cret.
fn with_password(file: &std::path::Path, cost: u32) -> ServerOptions {
    std::fs::write(file, format!("basic_auth_users:\n  ann: {}\n", bcrypt::hash("s3cret", cost).unwrap())).unwrap();
    ServerOptions { web_config: Some(file.to_owned()), ..ServerOptions::default() }
}

#[test]
fn the_right_password_gets_in_while_wrong_ones_wait_and_is_remembered_across_a_reload() {
    const RIGHT: &str = "Authorization: Basic YW5uOnMzY3JldA==\r\n";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.yml");
    let (server, registry) = serve(with_password(&file, 8));
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for guesser in 0..40 {
            let (server, over) = (&server, &over);
            scope.spawn(move || {
                for guess in 0u32.. {
                    if over.load(Relaxed) {
                        return;
                    }
                    let word = BASE64.encode(format!("ann:{guesser} {guess}"));
                    let status = ask(server, "GET /metrics", &format!("Authorization: Basic {word}\r\n")).status;
                    assert!(status == 401 || status == 503, "{status}");
                }
            });
        }
        // As a scraper does: it asks again.
        let first = becomes(&server, RIGHT, 200);
        let known = (0..20).all(|_| ask(&server, "GET /metrics", RIGHT).status == 200);
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + "# renewed\n").unwrap();
        let reloads = || registry.snapshot().value("joyfuljay_web_config_reloads_total", &["success"]).unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while reloads() < 1.0 && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        let still = (0..20).all(|_| ask(&server, "GET /metrics", RIGHT).status == 200);
        over.store(true, Relaxed);
        assert_eq!((first, known, reloads(), still), (true, true, 1.0, true));
    });
}

#[test]
fn a_scrape_has_its_turn_among_pipelined_requests_that_nobody_reads() {
    let (server, registry) = serve(ServerOptions::default());
    let requests = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(400);
    let flood: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect(&server);
            stream.set_nonblocking(true).unwrap();
            // What the server does not take now is no part of the flood.
            let _ = stream.write(requests.as_bytes());
            stream
        })
        .collect();
    for _ in 0..5 {
        assert_eq!(ask(&server, "GET /metrics", "").status, 200);
    }
    // Each connection is answered until its buffers are full, which are small, and not to its end.
    let answered = registry.snapshot().value("joyfuljay_scrapes_total", &["200"]).unwrap();
    assert!(answered < 100.0 * 100.0, "{answered} answers before a scrape had its turn");
    drop(flood);
}

#[cfg(unix)]
#[test]
fn a_web_configuration_that_becomes_a_pipe_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.yml");
    let (server, registry) = serve(with_password(&file, 4));
    std::fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let failures = || registry.snapshot().value("joyfuljay_web_config_reloads_total", &["failure"]).unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while failures() < 1.0 && std::time::Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(failures(), 1.0);
    assert_eq!(ask(&server, "GET /metrics", "Authorization: Basic YW5uOnMzY3JldA==\r\n").status, 200);
    server.close();
    let options = ServerOptions { web_config: Some(file), ..ServerOptions::default() };
    let error = start_server("127.0.0.1", 0, &registry, options).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

    /// Writes a new certificate and its key.
    fn certify(dir: &std::path::Path) -> rcgen::Certificate {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
        made.cert
    }

    /// A connection that trusts this certificate only.
    fn secured(server: &ServerHandle, trusted: &rcgen::Certificate) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), connect(server))
    }

    #[test]
    fn a_renewed_certificate_is_shown_without_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let first = certify(dir.path());
        let file = dir.path().join("web.yml");
        std::fs::write(&file, "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n").unwrap();
        let (server, _) = serve(ServerOptions { web_config: Some(file), ..ServerOptions::default() });
        assert_eq!(exchange(secured(&server, &first), "GET /healthz", "").status, 200);
        let second = certify(dir.path());
        let until = std::time::Instant::now() + Duration::from_secs(20);
        let shown = || {
            let mut stream = secured(&server, &second);
            stream.conn.complete_io(&mut stream.sock).is_ok()
        };
        while !shown() {
            assert!(std::time::Instant::now() < until, "the old certificate is still shown");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[test]
    fn a_scrape_over_tls_with_a_password() {
        let dir = tempfile::tempdir().unwrap();
        let cert = certify(dir.path());
        let file = dir.path().join("web.yml");
        let hash = bcrypt::hash("s3cret", 4).unwrap();
        let text = format!(
            "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  min_version: TLS13\nbasic_auth_users:\n  ann: {hash}\n"
        );
        std::fs::write(&file, text).unwrap();
        let (server, _) = serve(ServerOptions { web_config: Some(file), ..ServerOptions::default() });
        assert!(server.url().starts_with("https://"));
        let secured = || secured(&server, &cert);
        assert_eq!(exchange(secured(), "GET /metrics", "").status, 401);
        let reply = exchange(secured(), "GET /metrics", "Authorization: Basic YW5uOnMzY3JldA==\r\n");
        assert!(reply.status == 200 && reply.text().contains("joyfuljay_packets_total 1\n"));

        // Plain HTTP on the TLS port gets no metrics.
        let mut plain = connect(&server);
        plain.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut all = vec![];
        let _ = plain.read_to_end(&mut all);
        assert!(!all.starts_with(b"HTTP/"));
    }

    #[test]
    fn a_certificate_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("web.yml");
        std::fs::write(&file, "tls_server_config: {cert_file: none.pem, key_file: none.key}\n").unwrap();
        let options = ServerOptions { web_config: Some(file), ..ServerOptions::default() };
        let error = start_server("127.0.0.1", 0, &registry(), options).unwrap_err();
        assert!(matches!(error, ServerError::WebConfig { .. }));
        assert!(error.to_string().contains("none.key"), "{error}");
    }
}

#[test]
fn promtool_finds_nothing_to_say() {
    let (server, registry) = serve(ServerOptions::default());
    let metrics = PrometheusMetrics::new(&registry, "joyfuljay").unwrap();
    // Every family, also those that nothing feeds yet.
    for m in joyfuljay_monitoring::METRICS.iter().filter(|m| !m.name.starts_with("process_")) {
        metrics.touch(m.id, &vec!["x"; m.labels.len()]);
    }
    let text = ask(&server, "GET /metrics", "").body;
    let run = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = run else {
        eprintln!("skipped: no promtool on this machine");
        return;
    };
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.is_empty(), "{said}");
}
