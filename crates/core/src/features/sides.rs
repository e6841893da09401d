//! The view of groups that read a tracker by side: its two sides as forward and backward.

use super::FlowView;
use crate::flow::FlowRef;
use crate::trackers::{IpHeader, SideIpHeader, SideSequence, SideTcp, TcpOptions, TcpSequence};

/// A tracker that counts by [`crate::Side`].
pub trait BySide: 'static {
    /// What it counts of one.
    type Side;

    /// Both.
    fn sides(&self) -> &[Self::Side; 2];

    /// Whether a side has anything.
    fn is_seen(side: &Self::Side) -> bool;
}

/// A tracker with the directions told apart; none for flows that it does not concern, or where it has seen nothing.
pub struct SidesView<'a, T> {
    /// The tracker.
    pub known: Option<&'a T>,
    fwd: usize,
}

impl<T: BySide> FlowView for SidesView<'static, T> {
    type Of<'a> = SidesView<'a, T>;

    fn is_absent(view: &Self::Of<'_>) -> bool {
        view.known.is_none()
    }
}

impl<'a, T: BySide> SidesView<'a, T> {
    /// Of a flow.
    pub fn of(flow: &FlowRef<'a>, tracker: Option<&'a T>) -> Self {
        Self { known: tracker.filter(|t| t.sides().iter().any(T::is_seen)), fwd: flow.base.fwd() }
    }

    /// The forward (0) or backward (1) direction.
    pub fn side(&self, back: usize) -> Option<&'a T::Side> {
        self.known?.sides().get(self.fwd ^ back)
    }
}

/// IP headers, and what is known without any.
pub struct IpView<'a> {
    /// The headers.
    pub ip: SidesView<'a, IpHeader>,
    /// Packets of the flow.
    pub packets: u64,
    /// Whether the flow goes by IPv6.
    pub v6: bool,
}

impl FlowView for IpView<'static> {
    type Of<'a> = IpView<'a>;
}

impl<'a> IpView<'a> {
    /// Of a flow.
    pub fn of(flow: &FlowRef<'a>) -> Self {
        let ip = SidesView::of(flow, flow.ip_header());
        Self { ip, packets: flow.base.total_packets(), v6: flow.base.key.is_v6() }
    }
}

impl BySide for TcpOptions {
    type Side = SideTcp;
    fn sides(&self) -> &[SideTcp; 2] {
        &self.side
    }
    fn is_seen(side: &SideTcp) -> bool {
        side.segments > 0
    }
}

impl BySide for TcpSequence {
    type Side = SideSequence;
    fn sides(&self) -> &[SideSequence; 2] {
        &self.side
    }
    fn is_seen(side: &SideSequence) -> bool {
        side.segments > 0
    }
}

impl BySide for IpHeader {
    type Side = SideIpHeader;
    fn sides(&self) -> &[SideIpHeader; 2] {
        &self.side
    }
    fn is_seen(side: &SideIpHeader) -> bool {
        side.packets > 0
    }
}
