//! Flows as Python sees them: those that the engine tracked, and those built by hand from packets.

use std::sync::{Arc, OnceLock};

use arrow_array::RecordBatch;
use joyfuljay::core::engine::RowChunk;
use joyfuljay::core::flow::{FlowBase, FlowRef, FlowStore};
use joyfuljay_core::EndReason;
use joyfuljay_core::frame::FrameBatch;
use joyfuljay_core::packet::{Packet as CorePacket, PacketInfo};
use joyfuljay_core::rows::{RowPlan, RowScratch};
use joyfuljay_core::trackers::{KEEP_CAP, KeptPacket, TrackerMask, TrackerSettings};
use pyo3::exceptions::{PyIndexError, PyNotImplementedError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PySlice};

use crate::errors::{JoyfulJayError, PacketsNotKeptError};
use crate::flow_key::{FlowKey, end_text};
use crate::headers::Headers;
use crate::packet::{Packet, info, layers_of, seconds};

/// How flows were tracked.
pub struct Tracked {
    pub plan: RowPlan,
    pub trackers: TrackerMask,
    pub settings: TrackerSettings,
}

/// Flows that came out of the engine together, and their rows, made when first asked for.
pub struct Ended {
    pub flows: RowChunk,
    pub tracked: Arc<Tracked>,
    pub rows: OnceLock<Result<RecordBatch, String>>,
}

/// A bidirectional flow: had from ``Pipeline.iter_flows``, or built by hand with ``from_first_packet`` and ``add_packet``.
#[pyclass(module = "joyfuljay")]
pub struct Flow(State);

enum State {
    Tracked { ended: Arc<Ended>, at: usize },
    ByHand(Box<ByHand>),
}

struct ByHand {
    base: FlowBase,
    packets: Arc<Vec<HandPacket>>,
}

#[derive(Clone)]
struct HandPacket {
    kept: KeptPacket,
    payload: Option<Vec<u8>>,
    headers: Option<Box<Headers>>,
}

impl HandPacket {
    /// The packet for trackers, with the bytes that it was made with.
    fn made(&self, base: &FlowBase) -> (PacketInfo, FrameBatch) {
        let payload = self.payload.as_deref().unwrap_or_default();
        let numbers = info(&self.kept, &base.key, base.layers, payload.len() as u32);
        let headers = match (&self.headers, &self.payload) {
            (None, None) => None,
            (headers, _) => Some(headers.as_deref().cloned().unwrap_or_default()),
        };
        headers
            .and_then(|headers| headers.frame(&numbers, &self.kept, &base.key, payload))
            .unwrap_or_else(|| (numbers, FrameBatch { data: payload.to_vec(), frames: Vec::new() }))
    }
}

impl Flow {
    /// A flow of a chunk.
    pub fn tracked(ended: Arc<Ended>, at: usize) -> Self {
        Self(State::Tracked { ended, at })
    }

    /// A batch that has the flow's row under this plan, and where.
    pub fn row(&self, py: Python<'_>, wanted: &Arc<Tracked>) -> PyResult<(RecordBatch, usize)> {
        // Rows of all flows that came out together are made at once, when the first of them is wanted.
        if let State::Tracked { ended, at } = &self.0
            && Arc::ptr_eq(&ended.tracked, wanted)
        {
            let rows = py.detach(|| ended.rows.get_or_init(|| build(&wanted.plan, &ended.flows.flows())).clone());
            return rows.map(|batch| (batch, *at)).map_err(PyRuntimeError::new_err);
        }
        let base = self.base()?;
        let (trackers, made) = self.replayed(base, wanted.trackers)?;
        let mut store = FlowStore::new(trackers);
        let mut made = made.iter().map(|(info, batch)| CorePacket { info, batch }).peekable();
        if let Some(first) = made.peek() {
            let mut start = FlowBase::start(first, base.first_seq);
            start.end = base.end;
            start.initiated_as(base);
            store.replay(start, made, &wanted.settings);
            if let State::Tracked { ended, at } = &self.0 {
                store.set_outer(0, ended.flows.get(*at).and_then(|f| f.outer().copied()));
            }
        }
        let flow = store.get(0).ok_or_else(|| PyValueError::new_err("a flow without packets has no features"))?;
        let batch = py.detach(|| build(&wanted.plan, &[flow])).map_err(PyRuntimeError::new_err)?;
        Ok((batch, 0))
    }

    fn base(&self) -> PyResult<&FlowBase> {
        match &self.0 {
            State::ByHand(flow) => Ok(&flow.base),
            State::Tracked { ended, at } => {
                ended.flows.get(*at).map(|f| f.base).ok_or_else(|| PyRuntimeError::new_err("the flow is gone"))
            }
        }
    }

    /// The packets again, and the trackers that they are enough for.
    fn replayed(&self, base: &FlowBase, wanted: TrackerMask) -> PyResult<(TrackerMask, Vec<(PacketInfo, FrameBatch)>)> {
        match &self.0 {
            State::ByHand(flow) => {
                let numbers_only = flow.packets.iter().all(|p| p.payload.is_none() && p.headers.is_none());
                let trackers = if numbers_only { wanted.and(TrackerMask::OF_NUMBERS) } else { wanted };
                Ok((trackers, flow.packets.iter().map(|p| p.made(base)).collect()))
            }
            State::Tracked { ended, at } => {
                let kept = ended.flows.get(*at).and_then(|f| f.kept()).filter(|k| k.missing() == 0);
                let kept = kept.ok_or_else(|| {
                    JoyfulJayError::new_err(
                        "this flow was tracked for other features and its packets were not all kept: extract it with the \
                         pipeline whose iter_flows() gave it",
                    )
                })?;
                let numbers = |k| (info(k, &base.key, base.layers, 0), FrameBatch::new());
                // The frames are gone: what reads them has no state, and its features are null.
                Ok((wanted.and(TrackerMask::OF_NUMBERS), kept.packets().iter().map(numbers).collect()))
            }
        }
    }

    fn sequence(&self, of: Which) -> PyResult<PacketSequence> {
        let base = self.base()?;
        let source = match &self.0 {
            State::ByHand(flow) => Source::ByHand { packets: Arc::clone(&flow.packets), base: Box::new(*base) },
            State::Tracked { ended, at } => {
                if ended.flows.get(*at).is_none_or(|f| f.kept().is_none()) {
                    return Err(PacketsNotKeptError::new_err(
                        "the packets of this flow were not kept: iterate with iter_flows(path, keep_packets=True)",
                    ));
                }
                Source::Tracked { ended: Arc::clone(ended), at: *at }
            }
        };
        let chosen = match of {
            Which::All => None,
            Which::Initiator | Which::Responder => {
                let fwd = base.fwd();
                let wanted = if matches!(of, Which::Initiator) { fwd } else { 1 - fwd };
                let places = source.all().into_iter().enumerate().filter(|(_, k)| k.side as usize == wanted);
                Some(places.map(|(i, _)| i as u32).collect())
            }
        };
        Ok(PacketSequence { source, chosen })
    }
}

#[derive(Clone, Copy)]
enum Which {
    All,
    Initiator,
    Responder,
}

fn build(plan: &RowPlan, flows: &[FlowRef<'_>]) -> Result<RecordBatch, String> {
    plan.build(flows, &mut RowScratch::default()).map_err(|e| e.to_string())
}

#[pymethods]
impl Flow {
    /// A flow that begins with this packet; its sender is the initiator unless a SYN says otherwise.
    #[staticmethod]
    fn from_first_packet(packet: &Packet) -> PyResult<Self> {
        let info = packet.info(layers_of(&packet.key));
        let base = FlowBase::start(&CorePacket::without_bytes(&info), 0);
        let mut flow = Self(State::ByHand(Box::new(ByHand { base, packets: Arc::default() })));
        flow.add_packet(packet)?;
        Ok(flow)
    }

    /// Adds a packet of the same flow, in either direction.
    fn add_packet(&mut self, packet: &Packet) -> PyResult<()> {
        let State::ByHand(flow) = &mut self.0 else {
            return Err(PyTypeError::new_err(
                "a flow of a capture is finished; build one by hand with Flow.from_first_packet to add packets",
            ));
        };
        if packet.key != flow.base.key {
            return Err(PyValueError::new_err(format!(
                "the packet belongs to another flow: {} and not {}",
                FlowKey(packet.key).text(),
                FlowKey(flow.base.key).text()
            )));
        }
        if flow.packets.len() >= KEEP_CAP {
            return Err(PyValueError::new_err(format!("a flow built by hand has {KEEP_CAP} packets at most")));
        }
        let mut more =
            HandPacket { kept: packet.kept, payload: packet.payload.clone(), headers: packet.headers.clone() };
        let (info, batch) = more.made(&flow.base);
        let side = flow.base.side_of(&info);
        flow.base.update(&CorePacket { info: &info, batch: &batch }, side);
        flow.base.end = flow.base.closed().unwrap_or(EndReason::EndOfInput);
        more.kept.side = side;
        match Arc::get_mut(&mut flow.packets) {
            Some(packets) => packets.push(more),
            // The packets have been handed out: these stay as they are.
            None => flow.packets = Arc::new(flow.packets.iter().cloned().chain([more]).collect()),
        }
        Ok(())
    }

    #[getter]
    fn key(&self) -> PyResult<FlowKey> {
        Ok(FlowKey(self.base()?.key))
    }
    /// Time of the first packet in seconds since the Unix epoch.
    #[getter]
    fn start_time(&self) -> PyResult<f64> {
        Ok(seconds(self.base()?.first_ts))
    }
    /// Time of the last packet in seconds since the Unix epoch.
    #[getter]
    fn last_seen(&self) -> PyResult<f64> {
        Ok(seconds(self.base()?.last_ts))
    }
    /// Seconds from the first to the last packet.
    #[getter]
    fn duration(&self) -> PyResult<f64> {
        let base = self.base()?;
        Ok(seconds(base.last_ts.saturating_sub(base.first_ts)))
    }
    #[getter]
    fn initiator_ip(&self) -> PyResult<String> {
        Ok(self.base()?.src_addr().to_string())
    }
    #[getter]
    fn initiator_port(&self) -> PyResult<u16> {
        Ok(self.base()?.src_port().unwrap_or_default())
    }
    #[getter]
    fn responder_ip(&self) -> PyResult<String> {
        Ok(self.base()?.dst_addr().to_string())
    }
    #[getter]
    fn responder_port(&self) -> PyResult<u16> {
        Ok(self.base()?.dst_port().unwrap_or_default())
    }
    #[getter]
    fn protocol(&self) -> PyResult<u8> {
        Ok(self.base()?.key.protocol)
    }
    #[getter]
    fn total_packets(&self) -> PyResult<u64> {
        Ok(self.base()?.total_packets())
    }
    /// IP bytes of both directions.
    #[getter]
    fn total_bytes(&self) -> PyResult<u64> {
        Ok(self.base()?.total_bytes())
    }
    #[getter]
    fn initiator_bytes(&self) -> PyResult<u64> {
        let base = self.base()?;
        Ok(base.bytes[base.fwd()])
    }
    #[getter]
    fn responder_bytes(&self) -> PyResult<u64> {
        let base = self.base()?;
        Ok(base.bytes[base.bwd()])
    }
    /// Why the flow ended: fin, rst, idle, active, end_of_input, evicted.
    #[getter]
    fn end_reason(&self) -> PyResult<&'static str> {
        Ok(self.base()?.end.name())
    }
    /// Whether FIN from both sides or RST ended it.
    #[getter]
    fn terminated(&self) -> PyResult<bool> {
        Ok(matches!(self.base()?.end, EndReason::Fin | EndReason::Rst))
    }
    /// Comes with the features of TLS in a later version: raises NotImplementedError.
    #[getter]
    fn tls_client_hello(&self) -> PyResult<Option<Vec<u8>>> {
        Err(later("tls_client_hello"))
    }
    /// Comes with the features of TLS in a later version: raises NotImplementedError.
    #[getter]
    fn tls_server_hello(&self) -> PyResult<Option<Vec<u8>>> {
        Err(later("tls_server_hello"))
    }
    /// The packets in the order of the capture, made one at a time.
    #[getter]
    fn packets(&self) -> PyResult<PacketSequence> {
        self.sequence(Which::All)
    }
    /// The packets of the initiator.
    #[getter]
    fn initiator_packets(&self) -> PyResult<PacketSequence> {
        self.sequence(Which::Initiator)
    }
    /// The packets of the responder.
    #[getter]
    fn responder_packets(&self) -> PyResult<PacketSequence> {
        self.sequence(Which::Responder)
    }

    fn __repr__(&self) -> PyResult<String> {
        let base = self.base()?;
        Ok(format!(
            "<joyfuljay.Flow {} -> {} ({}): {} packets, {} bytes>",
            end_text(base.src_addr(), base.src_port()),
            end_text(base.dst_addr(), base.dst_port()),
            base.key.protocol,
            base.total_packets(),
            base.total_bytes()
        ))
    }

    /// What notebooks show.
    fn _repr_html_(&self) -> PyResult<String> {
        let base = self.base()?;
        let rows = [
            ("initiator", end_text(base.src_addr(), base.src_port())),
            ("responder", end_text(base.dst_addr(), base.dst_port())),
            ("protocol", base.key.protocol.to_string()),
            ("packets", base.total_packets().to_string()),
            ("bytes", base.total_bytes().to_string()),
            ("seconds", self.duration()?.to_string()),
            ("end_reason", base.end.name().to_owned()),
        ];
        let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
        Ok(crate::html::table("joyfuljay.Flow", &[], &rows))
    }
}

fn later(name: &str) -> PyErr {
    PyNotImplementedError::new_err(format!(
        "flow.{name}: handshakes of TLS come with a later version of joyfuljay, as features of the group 'tls'"
    ))
}

/// Packets of a flow: a sequence that makes each ``Packet`` when it is asked for.
#[pyclass(sequence, frozen, module = "joyfuljay")]
pub struct PacketSequence {
    source: Source,
    /// The places of the packets, where it is not all of them.
    chosen: Option<Vec<u32>>,
}

enum Source {
    Tracked { ended: Arc<Ended>, at: usize },
    ByHand { packets: Arc<Vec<HandPacket>>, base: Box<FlowBase> },
}

impl Source {
    fn all(&self) -> Vec<KeptPacket> {
        match self {
            Self::ByHand { packets, .. } => packets.iter().map(|p| p.kept).collect(),
            Self::Tracked { ended, at } => {
                ended.flows.get(*at).and_then(|f| f.kept()).map(|k| k.packets().to_vec()).unwrap_or_default()
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::ByHand { packets, .. } => packets.len(),
            Self::Tracked { ended, at } => ended.flows.get(*at).and_then(|f| f.kept()).map_or(0, |k| k.packets().len()),
        }
    }

    fn get(&self, n: usize) -> Option<Packet> {
        match self {
            Self::ByHand { packets, base } => {
                let p = packets.get(n)?;
                let (payload, headers) = (p.payload.clone(), p.headers.clone());
                Some(Packet { payload, headers, ..Packet::tracked(p.kept, base.key) })
            }
            Self::Tracked { ended, at } => {
                let flow = ended.flows.get(*at)?;
                Some(Packet::tracked(*flow.kept()?.packets().get(n)?, flow.base.key))
            }
        }
    }
}

impl PacketSequence {
    fn len(&self) -> usize {
        self.chosen.as_ref().map_or_else(|| self.source.len(), Vec::len)
    }

    /// Where packets equal to this are.
    fn places(&self, value: &Bound<'_, PyAny>, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let wanted = value.cast::<Packet>().ok().map(Bound::get);
        (from..to).filter(move |&n| wanted.is_some_and(|w| self.get(n).is_some_and(|p| p == *w)))
    }

    fn get(&self, n: usize) -> Option<Packet> {
        match &self.chosen {
            None => self.source.get(n),
            Some(places) => self.source.get(*places.get(n)? as usize),
        }
    }
}

#[pymethods]
impl PacketSequence {
    fn __len__(&self) -> usize {
        self.len()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(slice) = index.cast::<PySlice>() {
            let at = slice.indices(self.len() as isize)?;
            let list = PyList::empty(py);
            let mut n = at.start;
            for _ in 0..at.slicelength {
                if let Some(packet) = usize::try_from(n).ok().and_then(|n| self.get(n)) {
                    list.append(Bound::new(py, packet)?)?;
                }
                n += at.step;
            }
            return Ok(list.into_any());
        }
        let n: isize = index.extract()?;
        let n = if n < 0 { n + self.len() as isize } else { n };
        let packet = usize::try_from(n).ok().and_then(|n| self.get(n));
        let packet = packet.ok_or_else(|| PyIndexError::new_err("packet index out of range"))?;
        Ok(Bound::new(py, packet)?.into_any())
    }

    fn __iter__(slf: Py<Self>) -> PacketIterator {
        PacketIterator { packets: slf, at: 0 }
    }

    /// How often a packet like this is there.
    #[pyo3(signature = (value: "object"))]
    fn count(&self, value: &Bound<'_, PyAny>) -> usize {
        self.places(value, 0, self.len()).count()
    }

    /// The place of the first packet like this, at ``start`` or later and before ``stop``; ValueError where none is.
    #[pyo3(signature = (value: "object", start=0, stop: "typing.SupportsIndex" = isize::MAX))]
    fn index(&self, value: &Bound<'_, PyAny>, start: isize, stop: isize) -> PyResult<usize> {
        let len = self.len() as isize;
        let place = |n: isize| (if n < 0 { n + len } else { n }).clamp(0, len) as usize;
        let first = self.places(value, place(start), place(stop)).next();
        first.ok_or_else(|| PyValueError::new_err("the packet is not among them"))
    }

    /// Packets that came after the limit of ``max_packets`` was reached and are not here.
    #[getter]
    fn missing(&self) -> u64 {
        match &self.source {
            Source::ByHand { .. } => 0,
            Source::Tracked { ended, at } => ended.flows.get(*at).and_then(|f| f.kept()).map_or(0, |k| k.missing()),
        }
    }

    /// Whether packets are missing.
    #[getter]
    fn truncated(&self) -> bool {
        self.missing() > 0
    }

    fn __repr__(&self) -> String {
        let missing = match self.missing() {
            0 => String::new(),
            n => format!(", {n} more were not kept"),
        };
        format!("<{} packets{missing}>", self.len())
    }
}

/// Packets of a flow, one at a time.
#[pyclass(module = "joyfuljay")]
pub struct PacketIterator {
    packets: Py<PacketSequence>,
    at: usize,
}

#[pymethods]
impl PacketIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&mut self) -> Option<Packet> {
        self.at += 1;
        self.packets.get().get(self.at - 1)
    }
}
