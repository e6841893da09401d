//! The identity of a flow as Python sees it.

use std::net::IpAddr;

use joyfuljay_core::packet::{Endpoint, FlowKey as CoreKey, IpProtocol, Scope};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::packet::Packet;

/// The identity of a flow, the same for both directions: the two end points in a fixed order, and the protocol.
#[pyclass(frozen, eq, hash, module = "joyfuljay")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowKey(pub CoreKey);

#[pymethods]
impl FlowKey {
    #[new]
    fn new(ip_a: &str, port_a: u16, ip_b: &str, port_b: u16, protocol: u8) -> PyResult<Self> {
        let (key, _) = key_of(("ip_a", ip_a, port_a), ("ip_b", ip_b, port_b), protocol, Scope::default())?;
        Ok(Self(key))
    }
    /// The key of the flow that a packet belongs to.
    #[staticmethod]
    fn from_packet(packet: &Packet) -> Self {
        Self(packet.key)
    }
    #[getter]
    fn ip_a(&self) -> String {
        self.0.addr(true).to_string()
    }
    #[getter]
    fn port_a(&self) -> u16 {
        self.0.port(true).unwrap_or_default()
    }
    #[getter]
    fn ip_b(&self) -> String {
        self.0.addr(false).to_string()
    }
    #[getter]
    fn port_b(&self) -> u16 {
        self.0.port(false).unwrap_or_default()
    }
    #[getter]
    fn protocol(&self) -> u8 {
        self.0.protocol
    }
    #[pyo3(name = "to_tuple")]
    fn ends(&self) -> (String, u16, String, u16, u8) {
        (self.ip_a(), self.port_a(), self.ip_b(), self.port_b(), self.protocol())
    }
    fn __repr__(&self) -> String {
        let (a, pa, b, pb, proto) = self.ends();
        format!("FlowKey(ip_a='{a}', port_a={pa}, ip_b='{b}', port_b={pb}, protocol={proto})")
    }
}

impl FlowKey {
    /// Both end points and the protocol, for people.
    pub fn text(&self) -> String {
        let end = |lo| end_text(self.0.addr(lo), self.0.port(lo));
        format!("{} - {} ({})", end(true), end(false), self.0.protocol)
    }
}

/// An end point for people: `192.0.2.1:80`, `[2001:db8::1]:80`, or the address alone where there are no ports.
pub fn end_text(addr: IpAddr, port: Option<u16>) -> String {
    match (addr, port) {
        (addr, None) => addr.to_string(),
        (IpAddr::V4(addr), Some(port)) => format!("{addr}:{port}"),
        (IpAddr::V6(addr), Some(port)) => format!("[{addr}]:{port}"),
    }
}

/// The key of a packet between two addresses and ports, and whether its sender is the lower end point.
pub fn key_of(src: End<'_>, dst: End<'_>, protocol: u8, scope: Scope) -> PyResult<(CoreKey, bool)> {
    let (from, to) = (address(src)?, address(dst)?);
    if from.is_ipv4() != to.is_ipv4() {
        return Err(PyValueError::new_err(format!("{} {from} and {} {to} are of different IP versions", src.0, dst.0)));
    }
    let has_ports = IpProtocol::find(protocol).is_some_and(|p| p.has_ports) || src.2 != 0 || dst.2 != 0;
    let (src, dst) = (endpoint(from, src.2), endpoint(to, dst.2));
    Ok(CoreKey::new(from.is_ipv6(), protocol, has_ports, src, dst, scope))
}

/// What its address is called, the address, and the port.
type End<'a> = (&'a str, &'a str, u16);

fn address((what, text, _): End<'_>) -> PyResult<IpAddr> {
    text.parse().map_err(|_| PyValueError::new_err(format!("{what} = '{text}': not an IPv4 or IPv6 address")))
}

fn endpoint(addr: IpAddr, port: u16) -> Endpoint {
    match addr {
        IpAddr::V4(a) => Endpoint::v4(a.octets(), port),
        IpAddr::V6(a) => Endpoint::v6(a.octets(), port),
    }
}
