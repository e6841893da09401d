//! Asks a run for its metrics, as a browser asks for the live page's, and reads the text of the answer. What comes is not trusted: it
//! may be any server's.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use joyfuljay_remote::{Trust, client_config, server_name};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::say;

/// How long an answer may take, as for the live page.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest answer: a run of some thousand series has a megabyte.
const MAX_ANSWER: u64 = 32 << 20;

/// Where metrics are.
#[derive(Clone)]
pub struct Place {
    /// Without name and password, for people.
    pub url: String,
    host: String,
    port: u16,
    path: String,
    /// The value of the header that has name and password.
    authorization: Option<String>,
    tls: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for Place {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Place {
    /// Of `http[s]://[NAME:PASSWORD@]HOST[:PORT][/PATH]`; `trust` is for https.
    pub fn new(url: &str, trust: &Trust) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let is_tls = match scheme {
            "http" => false,
            "https" => true,
            other => {
                return Err(format!("{other}:// is not served by a run: write http://HOST:PORT or https://HOST:PORT"));
            }
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let path = if path.ends_with("/metrics") { path.to_owned() } else { format!("{path}/metrics") };
        let (user, address) = authority.rsplit_once('@').map_or((None, authority), |(user, at)| (Some(user), at));
        let (host, port) = split_port(address).ok_or("the port is no number from 1 to 65535")?;
        // What is sent is a header line and a request line.
        if host.is_empty()
            || !path.is_ascii()
            || [host, path.as_str()].iter().any(|s| s.contains(|c: char| c.is_control() || c == ' '))
        {
            return Err("there is no host in it: write http://HOST:PORT".into());
        }
        let authorization = user.map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let mut both = decoded(name);
            both.push(b':');
            both.extend(decoded(password));
            format!("Basic {}", BASE64_STANDARD.encode(both))
        });
        let port = port.unwrap_or(if is_tls { 443 } else { 80 });
        let tls = is_tls.then(|| client_config(trust).map(Arc::new)).transpose().map_err(|e| e.to_string())?;
        let url = format!("{scheme}://{}{path}", say::printable(address));
        Ok(Self { url, host: host.to_owned(), port, path, authorization, tls })
    }

    /// The metrics now; else why not, in words for people.
    pub fn ask(&self) -> Result<Families, String> {
        let answer = self.get().map_err(|e| match e.kind() {
            io::ErrorKind::ConnectionRefused => "nothing answers there".to_owned(),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                format!("no answer within {} s", PATIENCE.as_secs())
            }
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "it broke the connection off".to_owned(),
            _ => say::without_codes(&e.to_string()),
        })?;
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").ok_or("what answers there does not speak HTTP")?;
        let mut words = head.split_ascii_whitespace();
        let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/"));
        let status = words.next().filter(|_| is_http).ok_or("what answers there does not speak HTTP")?;
        match status {
            "200" => Families::read(body).ok_or_else(|| "it answers, but not with metrics of jj".to_owned()),
            "401" if self.authorization.is_some() => Err("name or password are wrong (401)".into()),
            "401" => Err("it asks for a name and a password (401): write http://NAME:PASSWORD@HOST:PORT".into()),
            // The metrics server's answer to plain text where it has TLS.
            other => Err(format!("/metrics says {}", say::printable(other))),
        }
    }

    fn get(&self) -> io::Result<Vec<u8>> {
        let until = Instant::now() + PATIENCE;
        let mut failed = io::Error::new(io::ErrorKind::NotFound, format!("{} has no address", self.host));
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, left(until)?) {
                Ok(stream) => return self.talk(stream, until),
                Err(e) => failed = e,
            }
        }
        Err(failed)
    }

    fn talk(&self, stream: TcpStream, until: Instant) -> io::Result<Vec<u8>> {
        let socket = stream.try_clone()?;
        match &self.tls {
            None => self.exchange(stream, &socket, until),
            Some(config) => {
                let name = server_name(&self.host).map_err(io::Error::other)?;
                let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
                self.exchange(StreamOwned::new(connection, stream), &socket, until)
            }
        }
    }

    /// HTTP/1.0: the answer ends with the connection, and has no parts to be put together.
    fn exchange(&self, mut stream: impl Read + Write, socket: &TcpStream, until: Instant) -> io::Result<Vec<u8>> {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let login = self.authorization.as_ref().map(|a| format!("Authorization: {a}\r\n")).unwrap_or_default();
        let request = format!(
            "GET {} HTTP/1.0\r\nHost: {host}:{}\r\nAccept: text/plain\r\n{login}Connection: close\r\n\r\n",
            self.path, self.port
        );
        socket.set_write_timeout(Some(left(until)?))?;
        socket.set_read_timeout(Some(left(until)?))?;
        stream.write_all(request.as_bytes())?;
        stream.flush()?;
        let (mut answer, mut piece) = (Vec::new(), [0; 16 << 10]);
        loop {
            socket.set_read_timeout(Some(left(until)?))?;
            match stream.read(&mut piece) {
                Ok(0) => return Ok(answer),
                Ok(n) => answer.extend_from_slice(piece.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // Servers may close without the last message of TLS.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && !answer.is_empty() => return Ok(answer),
                Err(e) => return Err(e),
            }
            if answer.len() as u64 > MAX_ANSWER {
                return Err(io::Error::other("the answer is too long for metrics"));
            }
        }
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// `HOST`, `HOST:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`.
fn split_port(address: &str) -> Option<(&str, Option<u16>)> {
    let number = |text: &str| text.parse().ok().filter(|port| *port != 0).map(Some);
    if let Some((host, rest)) = address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return match rest.strip_prefix(':') {
            None => Some((host, None)),
            Some(port) => Some((host, number(port)?)),
        };
    }
    match address.split_once(':') {
        Some((host, port)) => Some((host, number(port)?)),
        None => Some((address, None)),
    }
}

/// `%41` as `A`; what is no such thing stays.
fn decoded(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) => {
                out.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

/// The families of one exposition, by name without their prefix.
#[derive(Clone, Debug, Default)]
pub struct Families {
    samples: BTreeMap<String, Vec<Sample>>,
    prefix: String,
}

#[derive(Clone, Debug)]
struct Sample {
    labels: Vec<(String, String)>,
    value: f64,
}

impl Families {
    /// Reads the text format of Prometheus; none where no run's families are in it.
    pub fn read(text: &str) -> Option<Self> {
        let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, sample)) = sample(line) {
                samples.entry(name.to_owned()).or_default().push(sample);
            }
        }
        let prefix = samples.keys().find_map(|name| {
            let prefix = name.strip_suffix("packets_total")?;
            samples.contains_key(&format!("{prefix}active_flows")).then(|| prefix.to_owned())
        })?;
        Some(Self { samples, prefix })
    }

    fn all(&self, name: &str) -> &[Sample] {
        self.samples.get(&format!("{}{name}", self.prefix)).map_or(&[], Vec::as_slice)
    }

    /// Whether it has samples.
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// The sum of its samples.
    pub fn sum(&self, name: &str) -> f64 {
        self.all(name).iter().map(|sample| sample.value).sum()
    }

    /// The sum of the samples of which a label has this value.
    pub fn of(&self, name: &str, label: &str, value: &str) -> f64 {
        self.all(name).iter().filter(|sample| sample.label(label) == value).map(|sample| sample.value).sum()
    }

    /// The sums by the values of a label, in the order in which they came.
    pub fn by(&self, name: &str, label: &str) -> Vec<(String, f64)> {
        let mut sums: Vec<(String, f64)> = Vec::new();
        for sample in self.all(name) {
            let value = sample.label(label);
            match sums.iter_mut().find(|(found, _)| found == value) {
                Some((_, sum)) => *sum += sample.value,
                None => sums.push((value.to_owned(), sample.value)),
            }
        }
        sums
    }

    /// A family of the process, which has no prefix of its own.
    pub fn process(&self, name: &str) -> Option<f64> {
        self.samples.get(&format!("process_{name}"))?.first().map(|sample| sample.value)
    }
}

impl Sample {
    fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value)
    }
}

/// `name{label="value",…} 1.5`, perhaps with a time after it.
fn sample(line: &str) -> Option<(&str, Sample)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((label.to_owned(), value));
            rest = after;
        }
    }
    let value: f64 = rest.split_ascii_whitespace().next()?.parse().ok()?;
    // A family that is not a number has none.
    value.is_finite().then_some((name, Sample { labels, value }))
}

/// A text up to its quote, and what comes after that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, text.get(at + 1..)?)),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                other => out.push(other),
            },
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exposition_is_read() {
        let text = "# HELP x y\nx_packets_total 12\nx_active_flows 3\nx_errors_total{stage=\"a\",k=\"q\\\"}\\n\"} 1\nx_errors_total{stage=\"b\"} 2e0 123\n\
                    x_lag_seconds{source=\"a\"} NaN\nprocess_resident_memory_bytes 5\nbroken{\nx_odd";
        let found = Families::read(text).unwrap();
        assert_eq!((found.sum("packets_total"), found.sum("errors_total")), (12.0, 3.0));
        assert_eq!(found.by("errors_total", "k"), [("q\"}\n".to_owned(), 1.0), (String::new(), 2.0)]);
        assert_eq!((found.of("errors_total", "stage", "b"), found.has("lag_seconds")), (2.0, false));
        assert_eq!(found.process("resident_memory_bytes"), Some(5.0));
        assert!(Families::read("other_metric 1\n").is_none());
    }

    #[test]
    fn places_are_read_and_keep_their_secret() {
        let place = |url: &str| Place::new(url, &Trust::default());
        let p = place("http://me:p%40ss@[::1]:9184/x/").unwrap();
        assert_eq!((p.host.as_str(), p.port, p.path.as_str()), ("::1", 9184, "/x/metrics"));
        assert_eq!(p.authorization.as_deref(), Some("Basic bWU6cEBzcw=="));
        assert_eq!(format!("{p:?}"), "http://[::1]:9184/x/metrics");
        let p = place("sensor:1/metrics").unwrap();
        assert_eq!((p.host.as_str(), p.port, p.path.as_str()), ("sensor", 1, "/metrics"));
        assert_eq!(place("http://a").unwrap().port, 80);
        for wrong in ["ftp://a", "http://", "http://a:0", "http://a:x", "http://a b:1", "http://a:1/x y"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
