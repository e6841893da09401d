//! A client: the frames of a remote sensor as the source of a run.
//!
//! A thread of its own keeps the connection ([`link`]): it connects again when it breaks and goes on with the message behind the last
//! one that it has. Messages wait compressed until the run pulls them, in the room that the sensor was told of, so a slow run holds
//! up the sensor's sending and nothing else: both ends still hear each other.

mod link;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use joyfuljay_core::frame::FrameBatch;
use joyfuljay_core::metrics::{MetricsSink, Mode, NoMetrics, RemoteDelta};
use joyfuljay_io::source::{
    Clock, Drops, InterfaceCounts, PacketSource, Position, Pulled, SourceError, SourceWarning, Trouble,
};
use tokio::sync::watch;

use self::link::{Arrived, Order};
use crate::url::SensorUrl;
use crate::wire::{FromServer, Pull, ServerHello, SessionId};
use crate::{KEEPALIVE, Token, Trust};

/// How to connect.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientOptions {
    /// What the sensor wants to see.
    pub token: Token,
    /// Whom to trust, with TLS.
    pub trust: Trust,
    /// Bytes of messages that may wait here.
    pub window: u32,
    /// See [`KEEPALIVE`].
    pub keepalive: Duration,
    /// Whether a sensor that is not there when the run begins is waited for.
    pub wait: bool,
    /// How long a sensor may be away before the run fails; without, it is waited for.
    pub give_up: Option<Duration>,
    /// Ends the input by itself.
    pub duration: Option<Duration>,
    /// Where counts go.
    pub metrics: Arc<dyn MetricsSink>,
}

impl ClientOptions {
    /// 16 MiB: a second of a gigabit link, compressed to a tenth.
    pub const WINDOW: u32 = 16 << 20;

    /// With a token.
    pub fn new(token: Token) -> Self {
        Self {
            token,
            trust: Trust::default(),
            window: Self::WINDOW,
            keepalive: KEEPALIVE,
            wait: false,
            give_up: None,
            duration: None,
            metrics: Arc::new(NoMetrics),
        }
    }
}

/// How long what has come is still given once no more is wanted.
const DRAIN: Duration = Duration::from_secs(1);

/// Number of the connection itself among the interfaces: above those that a sensor has.
const CONNECTION: u64 = u64::MAX;

/// Frames of a remote sensor.
pub struct RemoteSource {
    place: String,
    arrived: Receiver<Arrived>,
    orders: watch::Sender<Order>,
    metrics: Arc<dyn MetricsSink>,
    hello: ServerHello,
    session: SessionId,
    /// How many times the sensor was.
    begun_anew: u64,
    connected: bool,
    /// Numbers of the next message and the next frame.
    seq: u64,
    frame: u64,
    /// Frames that came, and that are missing.
    received: u64,
    lost: u64,
    /// The last message, without its frames.
    latest: Box<Pull>,
    bytes: u64,
    began: Instant,
    duration: Option<Duration>,
    stopped: Option<Instant>,
    ended: bool,
    warnings: Vec<SourceWarning>,
}

impl RemoteSource {
    /// Connects to a sensor; it is there when this returns.
    ///
    /// # Errors
    /// When the sensor cannot be reached or does not want this client, when its certificate is not that of the sensor, or a file for
    /// TLS cannot be used. The token is in none of them.
    pub fn connect(url: &SensorUrl, options: &ClientOptions) -> Result<Self, SourceError> {
        let place = url.place();
        let failed = |problem: String| SourceError::Sensor { place: place.clone(), problem };
        let (orders, arrived) = link::start(url, options).map_err(failed)?;
        let hello = loop {
            match arrived.recv() {
                Ok(Arrived::Connected(hello)) => break hello,
                Ok(Arrived::Over(Some(problem))) => return Err(failed(problem)),
                Ok(Arrived::Message(_) | Arrived::Lost(_)) => {}
                Ok(Arrived::Over(None)) | Err(_) => return Err(failed("its thread ended".into())),
            }
        };
        Ok(Self {
            arrived,
            orders,
            metrics: Arc::clone(&options.metrics),
            session: hello.session,
            begun_anew: 0,
            connected: true,
            seq: hello.seq,
            frame: hello.frame,
            hello,
            received: 0,
            lost: 0,
            latest: Box::default(),
            bytes: 0,
            began: Instant::now(),
            duration: options.duration,
            stopped: None,
            ended: false,
            warnings: Vec::new(),
            place,
        })
    }

    /// What the sensor is called.
    pub fn sensor(&self) -> &str {
        &self.hello.name
    }

    /// Frames missing so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn warn(&mut self, message: String) {
        let message = format!("{}: {message}", self.place);
        self.warnings.push(SourceWarning { path: self.place.clone(), offset: 0, trouble: Trouble::Interface, message });
    }

    fn failed(&mut self, problem: String) -> SourceError {
        self.ended = true;
        SourceError::Sensor { place: self.place.clone(), problem }
    }

    /// The connection stands again.
    fn connected(&mut self, hello: ServerHello) -> Result<(), SourceError> {
        self.connected = true;
        self.metrics.remote(&RemoteDelta { reconnects: 1, ..RemoteDelta::default() });
        if hello.session == self.session {
            self.warn("connected again".into());
        } else if self.hello.stored || hello.stored {
            return Err(self.failed("serves another capture now: what came of the first one is not whole".into()));
        } else {
            self.warn(
                "connected again; the sensor was begun anew meanwhile, and what passed it until now is not known"
                    .into(),
            );
            self.session = hello.session;
            self.begun_anew += 1;
            (self.seq, self.frame) = (hello.seq, hello.frame);
        }
        self.hello = hello;
        Ok(())
    }

    /// Takes note of a message's numbers. Whether it is new.
    fn follows(&mut self, seq: u64, frame: u64) -> bool {
        if seq < self.seq {
            return false;
        }
        self.seq = seq + 1;
        let lost = frame.saturating_sub(self.frame);
        if lost > 0 {
            self.lost += lost;
            self.metrics.remote(&RemoteDelta { lost_gap: lost, ..RemoteDelta::default() });
            self.warn(format!(
                "{lost} frames are missing: the connection or this run was too slow, or away for too long"
            ));
        }
        self.frame = frame;
        true
    }

    /// What a message brings. None where it brings nothing that a run could see.
    fn take(&mut self, message: &[u8], out: &mut FrameBatch) -> Result<Option<Pulled>, SourceError> {
        self.bytes += message.len() as u64;
        let pulled = match FromServer::decode(message) {
            Ok(FromServer::Pull(mut pull)) => {
                if !self.follows(pull.seq, pull.frame) {
                    return Ok(None);
                }
                self.warnings.append(&mut pull.warnings);
                std::mem::swap(out, &mut pull.batch);
                let frames = out.frames.len() as u64;
                self.frame += frames;
                self.received += frames;
                let pulled = match (frames, pull.now) {
                    (1.., _) => Some(Pulled::Frames { waited: pull.waited }),
                    (0, None) if !pull.waited => None,
                    (0, now) => Some(Pulled::Idle(now)),
                };
                self.latest = pull;
                pulled
            }
            Ok(FromServer::End(end)) => {
                self.follows(end.seq, end.frames);
                if let Some(error) = end.error {
                    return Err(self.failed(error));
                }
                self.ended = true;
                Some(Pulled::End)
            }
            Ok(FromServer::Hello(_)) => return Err(self.failed("sends a second hello".into())),
            Err(error) => return Err(self.failed(format!("sends what is not of its protocol: {error}"))),
        };
        self.orders.send_modify(|order| {
            order.taken = self.seq.checked_sub(1);
            order.bytes += message.len() as u64;
        });
        Ok(pulled)
    }
}

impl PacketSource for RemoteSource {
    fn mode(&self) -> Mode {
        Mode::Remote
    }

    fn is_stream(&self) -> bool {
        !self.hello.stored
    }

    fn label(&self) -> &str {
        &self.hello.name
    }

    fn pull(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        out.clear();
        let until = Instant::now() + wait;
        loop {
            if self.ended {
                return Ok(Pulled::End);
            }
            if self.duration.is_some_and(|duration| self.began.elapsed() >= duration) {
                self.stop();
            }
            let left = match self.stopped {
                Some(stopped) if stopped.elapsed() >= DRAIN => Duration::ZERO,
                _ => until.saturating_duration_since(Instant::now()),
            };
            let pulled = match self.arrived.recv_timeout(left) {
                Ok(Arrived::Message(message)) => self.take(&message, out)?,
                Ok(Arrived::Connected(hello)) => {
                    self.orders.send_modify(|order| (order.turn, order.taken) = (order.turn + 1, None));
                    self.connected(hello)?;
                    None
                }
                Ok(Arrived::Lost(reason)) => {
                    self.connected = false;
                    self.warn(format!("the connection broke ({reason}): trying again"));
                    None
                }
                Ok(Arrived::Over(Some(problem))) => return Err(self.failed(problem)),
                Ok(Arrived::Over(None)) | Err(RecvTimeoutError::Disconnected) => {
                    self.ended = true;
                    Some(Pulled::End)
                }
                Err(RecvTimeoutError::Timeout) if self.stopped.is_some_and(|stopped| stopped.elapsed() >= DRAIN) => {
                    self.ended = true;
                    Some(Pulled::End)
                }
                // The sensor says the time: while it is not heard, nobody knows it.
                Err(RecvTimeoutError::Timeout) => Some(Pulled::Idle(None)),
            };
            if let Some(pulled) = pulled {
                return Ok(pulled);
            }
        }
    }

    fn stop(&mut self) {
        if self.stopped.is_none() {
            self.stopped = Some(Instant::now());
            self.orders.send_modify(|order| order.stop = true);
        }
    }

    fn position(&self) -> Position {
        let current = Some(self.hello.name.clone());
        match self.hello.stored {
            true => Position { current, ..self.latest.position.clone() },
            false => Position { read: self.bytes, current, ..Position::default() },
        }
    }

    fn clock(&self) -> Option<Clock> {
        self.latest.clock
    }

    fn drops(&self) -> Drops {
        let Drops { kernel, interface, queue } = self.latest.drops;
        Drops { kernel, interface, queue: queue + self.lost }
    }

    fn lag(&self) -> Option<Duration> {
        self.latest.lag
    }

    /// Those of the sensor, and the connection itself: what came, and what is missing.
    fn interfaces(&self) -> Vec<InterfaceCounts> {
        let sensor = &self.hello.name;
        let theirs = self.latest.interfaces.iter().cloned().map(|mut interface| {
            interface.name = format!("{sensor}:{}", interface.name);
            // A sensor that was begun anew counts from 0.
            interface.id = interface.id.wrapping_add(self.begun_anew << 32);
            interface
        });
        let connection = InterfaceCounts {
            id: CONNECTION,
            name: sensor.clone(),
            up: self.connected,
            received: self.received + self.lost,
            drops: Drops { queue: self.lost, ..Drops::default() },
            freezes: 0,
        };
        theirs.chain([connection]).collect()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        std::mem::take(&mut self.warnings)
    }
}
