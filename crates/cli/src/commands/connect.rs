//! `jj connect`: rows of what a remote sensor captures.

use std::path::PathBuf;

use clap::Args;
use joyfuljay::{Pipeline, RunControl};
use joyfuljay_core::metrics::Mode;
use joyfuljay_io::sink::{Lasting, RowSink};
use joyfuljay_io::source::PacketSource;
use joyfuljay_remote::Trust;
use joyfuljay_remote::client::{ClientOptions, RemoteSource};
use joyfuljay_remote::url::SensorUrl;

use super::output::{Lifetime, Output, OutputArgs};
use super::running::{self, Concluded, HowArgs};
use crate::error::CliError;
use crate::notify::Notify;
use crate::options::{ConfigArgs, number};
use crate::save::{SaveArgs, Saving};
use crate::say;
use crate::secret::TokenArgs;
use crate::signals::Phase;
use crate::spoken::Spoken;

/// Packets of a remote sensor (jj serve) in, one row of features per flow out, as flows end.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj connect jj://sensor:8765?tls=1 --token-file token -o flows.csv\n  jj connect jj://10.0.0.7 -d 60 -f \
                  json\n\nRows are those that the sensor's machine would make. When the connection breaks it is made again and goes on \
                  where it was; what was lost is counted. Ctrl-C or SIGTERM ends it in good order: what has come is read, open flows \
                  are written, exit code 0. A second one gives up."
)]
pub struct Connect {
    /// The sensor: jj://HOST:PORT, with ?tls=1 or as jjs:// by TLS.
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    token: TokenArgs,
    #[command(flatten)]
    link: LinkArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    save: SaveArgs,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
struct LinkArgs {
    /// End after so many seconds.
    #[arg(short, long, value_name = "SECONDS", value_parser = number)]
    duration: Option<f64>,
    /// Trust certificates that these authorities (PEM) signed, instead of the system's.
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Take any certificate: who sits in between can read and change everything.
    #[arg(long, conflicts_with = "tls_ca")]
    tls_insecure: bool,
    /// A certificate of our own (PEM), for sensors that ask for one.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Wait for a sensor that is not there yet.
    #[arg(long)]
    wait: bool,
    /// Fail when the sensor has been away for so long; without, it is waited for.
    #[arg(long, value_name = "SECONDS", value_parser = number)]
    give_up: Option<f64>,
    /// How often to say that we are there; an end that was not heard for twice as long is taken for gone.
    #[arg(long, value_name = "SECONDS", default_value_t = joyfuljay_remote::KEEPALIVE.as_secs_f64(), value_parser = number)]
    keepalive: f64,
}

/// Input, output, and where frames are saved.
type Opened = (Box<dyn PacketSource>, Box<dyn RowSink>, Saving);

impl Connect {
    pub fn run(self) -> Result<(), CliError> {
        let url = SensorUrl::parse(&self.url).map_err(CliError::Usage)?;
        let config = self.config.config()?;
        let output = self.output.resolve(Lifetime::Lasts)?;
        let mut client = ClientOptions::new(self.token.given_or_typed(url.token.as_deref())?);
        self.link.set(&url, &mut client)?;
        let control = RunControl::new();
        let lasting = Lasting::default();
        let pipeline = Pipeline::new(config)?.with_control(control.clone());
        let interrupt = running::watch(control.clone())?;
        interrupt.reopens(lasting.clone());
        let (mut pipeline, server, bar) = self.how.begin(pipeline)?;
        client.metrics = pipeline.metrics();
        let shown = bar.clone();
        let notify = Notify::from_environment(lasting.clone());
        let progressing = notify.clone();
        pipeline = pipeline.with_progress(Box::new(move |p| {
            progressing.progress(control.is_stopped());
            shown.update(p);
        }));

        let said = pipeline.plan().notes().to_vec();
        let result = match self.open(&mut pipeline, &url, &client, &lasting, &output) {
            Ok((source, sink, saving)) => {
                for note in pipeline.plan().notes().iter().filter(|note| !said.contains(note)) {
                    say::note(note);
                }
                interrupt.enter(Phase::Stream);
                pipeline = self.how.opened(pipeline, saving);
                let connected = format!("connected to {} at {}", say::printable(source.label()), url.place());
                if self.how.is_for_people() {
                    say::line(&connected);
                }
                notify.ready(&connected);
                pipeline.run(Box::new(Spoken::new(source, bar.clone())), sink).map_err(CliError::from)
            }
            Err(error) => Err(error),
        };
        notify.stopping();
        bar.finish();
        self.how.conclude(Concluded { result, server, interrupt: &interrupt, output: &output })
    }

    /// Input and output; where they cannot be had, the metrics are told.
    fn open(
        &self,
        pipeline: &mut Pipeline,
        url: &SensorUrl,
        client: &ClientOptions,
        lasting: &Lasting,
        output: &Output,
    ) -> Result<Opened, CliError> {
        let mut opened = || -> Result<_, joyfuljay::Error> {
            // What the sensor serves decides of the columns: captures have an end, interfaces do not.
            let source: Box<dyn PacketSource> = Box::new(RemoteSource::connect(url, client)?);
            let lasts = source.is_stream();
            if lasts {
                pipeline.turn_to_stream()?;
            }
            let sink = output.open(pipeline, None, lasts.then_some(lasting))?;
            Ok((source, sink, self.save.open()?))
        };
        opened().map_err(|error| {
            pipeline.not_begun(Mode::Remote, &error);
            error.into()
        })
    }
}

impl LinkArgs {
    fn set(&self, url: &SensorUrl, client: &mut ClientOptions) -> Result<(), CliError> {
        client.trust = Trust {
            ca: self.tls_ca.clone(),
            insecure: self.tls_insecure,
            identity: self.tls_cert.clone().zip(self.tls_key.clone()),
        };
        if !url.tls && (self.tls_ca.is_some() || self.tls_insecure || self.tls_cert.is_some()) {
            return Err(CliError::Usage("options for TLS and an address without it: add ?tls=1 to the address".into()));
        }
        if self.tls_insecure {
            say::warning(
                "--tls-insecure: the sensor's certificate is not looked at; anyone in between can read the token and the packets",
            );
        }
        if !url.tls && !is_this_machine(&url.host) {
            say::warning("without TLS (?tls=1) the token and the packets can be read by anyone on the way");
        }
        client.keepalive = running::duration("--keepalive", self.keepalive)?;
        client.duration = self.duration.map(|seconds| running::duration("--duration", seconds)).transpose()?;
        client.give_up = self.give_up.map(|seconds| running::duration("--give-up", seconds)).transpose()?;
        client.wait = self.wait;
        Ok(())
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
