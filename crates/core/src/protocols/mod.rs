//! Parsers of application protocols: bytes in, facts out. They know nothing of flows, packets or trackers.
//!
//! Two shapes. A *message* parser is a function of one slice that answers a [`Probe`]. A *session* follows a protocol
//! over both directions of a connection: it is shown the bytes that nobody has taken yet, in order, and says how many it
//! takes ([`Taken`]); what it does not take it is shown again, with more behind it. So a session holds facts and counts,
//! never a copy of the stream, and its answer cannot depend on how the bytes were split into segments.

/// What a parser says of the bytes that it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe<T> {
    /// It is this, whatever follows.
    Certain(T),
    /// It may be this: more bytes are needed.
    NeedMore,
    /// It is not this, whatever follows.
    NotThis,
}

impl<T> Probe<T> {
    /// Changes what was found.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Probe<U> {
        match self {
            Self::Certain(t) => Probe::Certain(f(t)),
            Self::NeedMore => Probe::NeedMore,
            Self::NotThis => Probe::NotThis,
        }
    }

    /// What was found, if it was.
    pub fn certain(self) -> Option<T> {
        match self {
            Self::Certain(t) => Some(t),
            Self::NeedMore | Self::NotThis => None,
        }
    }
}

/// What a session took of the bytes that it was shown of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// So many bytes need not be shown again. May be more than were shown: then those to come are stepped over unseen.
    pub bytes: u64,
    /// Whether the session wants no more bytes of this direction.
    pub done: bool,
}
