//! Systems without packet rings.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use joyfuljay_core::frame::FrameBatch;
use joyfuljay_core::metrics::Mode;
use joyfuljay_io::source::{PacketSource, Position, Pulled, SourceError, SourceWarning};

use super::{Check, Link, LiveOptions};

const PROBLEM: &str = "live capture is there on Linux only; elsewhere: tcpdump -U -w - | jj extract -";

/// Frames from network interfaces: there is none on this system.
#[derive(Debug)]
pub struct LiveSource(Infallible);

/// The interfaces of this machine.
///
/// # Errors
/// Always.
pub fn interfaces() -> io::Result<Vec<Link>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, PROBLEM))
}

impl LiveSource {
    /// Begins to capture from interfaces.
    ///
    /// # Errors
    /// Always.
    pub fn open<S: AsRef<str>>(names: &[S], _options: &LiveOptions) -> Result<Self, SourceError> {
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        Err(SourceError::Interface { name: names.join(", "), problem: PROBLEM.into() })
    }
}

impl PacketSource for LiveSource {
    fn mode(&self) -> Mode {
        match self.0 {}
    }

    fn pull(&mut self, _out: &mut FrameBatch, _wait: Duration) -> Result<Pulled, SourceError> {
        match self.0 {}
    }

    fn stop(&mut self) {
        match self.0 {}
    }

    fn position(&self) -> Position {
        match self.0 {}
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        match self.0 {}
    }
}

/// Looks at what capturing needs.
pub fn check<S: AsRef<str>>(_names: &[S], _options: &LiveOptions) -> Vec<Check> {
    vec![Check { what: "system".into(), found: Err(PROBLEM.into()) }]
}
