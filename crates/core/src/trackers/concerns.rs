//! Which flows have the state of a tracker at all.

/// Flows, as their first packet tells them apart: by its protocol, and by whether it has an authentication header.
///
/// A constant and no function of the packet: which trackers a flow has is then one look into a table, and one of another
/// protocol costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Concerns {
    /// IP protocols; all of them where there is no list.
    protocols: Option<&'static [u8]>,
    /// Whether those with an authentication header, too, whatever their protocol.
    with_ah: bool,
}

impl Concerns {
    /// All flows.
    pub const ALL: Self = Self { protocols: None, with_ah: true };

    /// Flows of these protocols.
    pub const fn protocols(protocols: &'static [u8]) -> Self {
        Self { protocols: Some(protocols), with_ah: false }
    }

    /// These, and flows with an authentication header.
    #[must_use]
    pub const fn or_with_ah(self) -> Self {
        Self { with_ah: true, ..self }
    }

    /// Whether flows of this protocol are among them.
    pub const fn has(self, protocol: u8) -> bool {
        let Some(protocols) = self.protocols else { return true };
        let mut i = 0;
        while i < protocols.len() {
            if protocols[i] == protocol {
                return true;
            }
            i += 1;
        }
        false
    }

    /// Whether all flows with an authentication header are among them.
    pub const fn has_ah(self) -> bool {
        self.with_ah
    }
}
