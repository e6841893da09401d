//! Sources around other sources.

use std::time::Duration;

use joyfuljay_core::frame::{FrameBatch, SlicePart};
use joyfuljay_core::metrics::Mode;

use super::{Clock, Drops, InterfaceCounts, PacketSource, Position, Pulled, SourceError, SourceWarning};

/// A source around another one: it changes what it says here, and all else is the inner one's.
pub trait SourceLayer: Send {
    /// The source inside.
    type Inner: PacketSource + ?Sized;

    /// The source inside.
    fn inner(&self) -> &Self::Inner;

    /// The source inside.
    fn inner_mut(&mut self) -> &mut Self::Inner;

    /// As [`PacketSource::pull`].
    ///
    /// # Errors
    /// As there.
    fn pull_inner(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        self.inner_mut().pull(out, wait)
    }

    /// As [`PacketSource::take_warnings`].
    fn take_inner_warnings(&mut self) -> Vec<SourceWarning> {
        self.inner_mut().take_warnings()
    }
}

impl<T: SourceLayer> PacketSource for T {
    fn mode(&self) -> Mode {
        self.inner().mode()
    }

    fn is_stream(&self) -> bool {
        self.inner().is_stream()
    }

    fn label(&self) -> &str {
        self.inner().label()
    }

    fn pull(&mut self, out: &mut FrameBatch, wait: Duration) -> Result<Pulled, SourceError> {
        self.pull_inner(out, wait)
    }

    fn stop(&mut self) {
        self.inner_mut().stop();
    }

    fn position(&self) -> Position {
        self.inner().position()
    }

    fn slice_part(&self) -> Option<SlicePart> {
        self.inner().slice_part()
    }

    fn clock(&self) -> Option<Clock> {
        self.inner().clock()
    }

    fn drops(&self) -> Drops {
        self.inner().drops()
    }

    fn lag(&self) -> Option<Duration> {
        self.inner().lag()
    }

    fn interfaces(&self) -> Vec<InterfaceCounts> {
        self.inner().interfaces()
    }

    fn take_warnings(&mut self) -> Vec<SourceWarning> {
        self.take_inner_warnings()
    }
}
