//! A source whose warnings are said when they come: a sensor has no end at which its user would read them.

use joyfuljay_io::source::{PacketSource, SourceLayer, SourceWarning, Trouble};

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

impl SourceLayer for Spoken {
    type Inner = dyn PacketSource;

    fn inner(&self) -> &Self::Inner {
        &*self.source
    }

    fn inner_mut(&mut self) -> &mut Self::Inner {
        &mut *self.source
    }

    /// Those that were said need not be said at the end again.
    fn take_inner_warnings(&mut self) -> Vec<SourceWarning> {
        let (said, kept) =
            self.source.take_warnings().into_iter().partition(|w: &SourceWarning| w.trouble == Trouble::Interface);
        for warning in Vec::from_iter::<Vec<SourceWarning>>(said) {
            self.bar.suspend(|| say::warning(warning));
        }
        kept
    }
}
