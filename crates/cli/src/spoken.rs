//! A source whose warnings are said when they come: a sensor has no end at which its user would read them.

use std::time::Duration;

use joyfuljay_core::frame::FrameBatch;
use joyfuljay_core::metrics::Mode;
use joyfuljay_io::source::{
    Clock, Drops, InterfaceCounts, PacketSource, Position, Pulled, SourceError, SourceWarning, Trouble,
};

use crate::progress::Bar;
use crate::say;

/// Says what its source warns of.
pub struct Spoken {
    source: Box<dyn PacketSource>,
    bar: Bar,
}

impl Spoken {
    /// Above the bar.
    pub fn new(source: Box<dyn PacketSource>, bar: Bar) -> Self {
        Self { source, bar }
    }
}

impl PacketSource for Spoken {
    fn mode(&self) -> Mode {
        self.source.mode()
    }

    fn label(&self) -> &str {
        self.source.label()
    }

    fn pull(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        self.source.pull(out, wait)
    }

    fn stop(&mut self) {
        self.source.stop();
    }

    fn position(&self) -> Position {
        self.source.position()
    }

    fn clock(&self) -> Option<Clock> {
        self.source.clock()
    }

    fn drops(&self) -> Drops {
        self.source.drops()
    }

    fn interfaces(&self) -> Vec<InterfaceCounts> {
        self.source.interfaces()
    }

    fn lag(&self) -> Option<Duration> {
        self.source.lag()
    }

    /// Those that were said need not be said at the end again.
    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        let (said, kept) =
            self.source.take_warnings().into_iter().partition(|w: &SourceWarning| w.trouble == Trouble::Interface);
        for warning in Vec::from_iter::<Vec<SourceWarning>>(said) {
            self.bar.suspend(|| say::line(format_args!("warning: {warning}")));
        }
        kept
    }
}
