//! `jj serve`: frames of interfaces or captures for remote clients.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use joyfuljay::RunControl;
use joyfuljay::sensor::Sensor;
use joyfuljay_io::sink::Lasting;
use joyfuljay_remote::discovery::Announce;
use joyfuljay_remote::server::{self, Input, ServerOptions, TlsFiles};
use joyfuljay_remote::{DEFAULT_PORT, Token};

use super::live::CaptureArgs;
use super::running::{self, MetricsArgs};
use crate::error::CliError;
use crate::human;
use crate::notify::Notify;
use crate::options::{self, number, whole};
use crate::say;
use crate::secret::TokenArgs;
use crate::signals::{Interrupt, Phase};

/// Serve packets of interfaces, or captures, to remote clients (jj connect).
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj serve eth0 --token-file token --tls-cert cert.pem --tls-key key.pem\n  jj serve captures/ --token-file \
                  token --host 127.0.0.1\n\nOf interfaces each client gets what passes while it is there; capture begins with the first \
                  client and leaves out the sensor's own connections. Captures are given whole to each client. Ctrl-C or SIGTERM ends \
                  it in good order: clients get what has come."
)]
pub struct Serve {
    /// Interfaces (any for all of them), or captures as jj extract takes them.
    #[arg(value_name = "IFACE|CAPTURE", required = true)]
    inputs: Vec<String>,
    /// Serve only packets that match this expression of tcpdump.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    announce: AnnounceArgs,
    #[command(flatten)]
    capture: CaptureArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
    /// Say warnings and errors only.
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Clients")]
struct ListenArgs {
    /// The port to listen on; 0 takes any free one.
    #[arg(short, long, value_name = "PORT", default_value_t = DEFAULT_PORT, value_parser = whole(0, u16::MAX))]
    port: u16,
    /// The address to listen on; :: is all addresses, of IPv4 too.
    #[arg(long, value_name = "ADDRESS", default_value = "::")]
    host: String,
    /// Clients at once; 0 sets no limit.
    #[arg(long, value_name = "CLIENTS", default_value_t = ServerOptions::MAX_CLIENTS, value_parser = whole(0, usize::MAX))]
    max_clients: usize,
    /// Bytes a second that each client gets at most, as 10MB.
    #[arg(long, value_name = "SIZE")]
    max_bandwidth: Option<joyfuljay_core::config::ByteSize>,
    /// Compress what is sent: the default.
    #[arg(long, overrides_with = "no_compress")]
    compress: bool,
    /// Send it as it is.
    #[arg(long, overrides_with = "compress")]
    no_compress: bool,
    /// Bytes kept for clients that are slow or away; what they are late for beyond that is lost to them, and counted.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    buffer: joyfuljay_core::config::ByteSize,
    /// How often to say that we are there; a client that was not heard for twice as long is taken for gone.
    #[arg(long, value_name = "SECONDS", default_value_t = joyfuljay_remote::KEEPALIVE.as_secs_f64(), value_parser = number)]
    keepalive: f64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
struct TlsArgs {
    /// The sensor's certificate, with those between it and its authority (PEM): all connections are encrypted.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Take only clients with a certificate that these authorities (PEM) signed.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Announcement")]
struct AnnounceArgs {
    /// Announce the sensor on the local network (jj discover).
    #[arg(long)]
    announce: bool,
    /// What the sensor is called: in announcements, and in its clients' metrics [default: the name of this machine].
    #[arg(long, value_name = "NAME")]
    announce_name: Option<String>,
    /// Announce it on this interface only; may be repeated [default: all but bridges and what is plugged into one].
    #[arg(long, value_name = "IFACE", requires = "announce")]
    announce_on: Vec<String>,
}

/// How often it is looked whether there was a signal.
const LOOK: Duration = Duration::from_millis(50);

impl Serve {
    pub fn run(self) -> Result<(), CliError> {
        options::check_inputs(&self.inputs)?;
        let token = self.secret()?;
        let input = self.input()?;
        let control = RunControl::new();
        let interrupt = running::watch(control.clone())?;
        let metrics = self.metrics.start(self.quiet)?;
        let (metrics_server, metrics) = metrics.map_or((None, None), |(server, metrics)| (Some(server), Some(metrics)));
        let mut options = self.options(token)?;
        if let Some(metrics) = metrics {
            options.metrics = Arc::new(metrics);
        }
        let notify = Notify::from_environment(Lasting::default());
        let tls = options.tls.is_some();
        let server = server::serve(input, options).map_err(|e| CliError::Failed(e.to_string()))?;
        let at =
            format!("serving {} at {}{}", self.inputs.join(", "), server.address(), if tls { " by TLS" } else { "" });
        if !self.quiet {
            say::line(&at);
        }
        if !tls && !server.address().ip().is_loopback() {
            say::warning(
                "without TLS (--tls-cert, --tls-key) the token and the packets can be read by anyone on the way",
            );
        }
        notify.ready(&at);
        interrupt.enter(Phase::Stream);
        while server.is_running() {
            std::thread::sleep(LOOK);
            notify.progress(control.is_stopped());
            if control.is_cancelled() {
                return Err(given_up(&interrupt));
            }
            if control.is_stopped() {
                server.stop();
            }
        }
        notify.stopping();
        let stats = server.stats();
        let ended = server.wait().map_err(|e| CliError::Failed(e.to_string()));
        if !self.quiet {
            let lost = if stats.lost > 0 {
                format!(", {} frames lost to slow clients", human::count(stats.lost))
            } else {
                String::new()
            };
            say::line(format_args!(
                "sent {} messages, {}{lost}",
                human::count(stats.messages),
                human::bytes(stats.bytes)
            ));
        }
        self.metrics.linger(metrics_server, &interrupt);
        ended
    }

    /// The token that clients must show. At a terminal one is made and shown.
    fn secret(&self) -> Result<Token, CliError> {
        if let Some(token) = self.token.given(None)? {
            return Ok(token);
        }
        if !std::io::stderr().is_terminal() {
            return Err(CliError::Usage(
                "clients must show a token: give one in a file (--token-file) or in JOYFULJAY_TOKEN".into(),
            ));
        }
        let token = Token::generate().map_err(CliError::Failed)?;
        say::line(format_args!("token for clients of this run: {}", token.reveal()));
        Ok(token)
    }

    fn options(&self, token: Token) -> Result<ServerOptions, CliError> {
        let name = match &self.announce.announce_name {
            Some(name) => name.clone(),
            None => host_name(),
        };
        let mut options = ServerOptions::new(token);
        options.host.clone_from(&self.listen.host);
        options.port = self.listen.port;
        options.max_clients = self.listen.max_clients;
        options.max_bandwidth = self.listen.max_bandwidth.map(|size| size.0);
        options.compress = !self.listen.no_compress;
        options.buffer = usize::try_from(self.listen.buffer.0).unwrap_or(usize::MAX);
        options.keepalive = running::duration("--keepalive", self.listen.keepalive)?;
        options.tls = self.tls.tls_cert.clone().zip(self.tls.tls_key.clone()).map(|(cert, key)| TlsFiles {
            cert,
            key,
            client_ca: self.tls.tls_client_ca.clone(),
        });
        options.announce = self.announce.announce.then(|| Announce {
            name: name.clone(),
            interfaces: self.announce.announce_on.clone(),
            ..Announce::default()
        });
        options.name = name;
        if !self.quiet {
            options.say = Arc::new(|words| say::line(words));
        }
        Ok(options)
    }

    fn input(&self) -> Result<Input, CliError> {
        let sensor = Sensor {
            inputs: self.inputs.clone(),
            options: self.capture.options()?,
            process: self.capture.process(),
            filter: self.filter.clone(),
        };
        Ok(sensor.input()?)
    }
}

fn given_up(interrupt: &Interrupt) -> CliError {
    CliError::Said(interrupt.signal().and_then(|signal| u8::try_from(128 + signal).ok()).unwrap_or(1))
}

#[cfg(unix)]
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "sensor".into())
}
