//! Tunnels, Tor and encrypted DNS: what is evidence of them, and how sure it is.

use super::Profile::Extended;
use super::Unit::None as NoUnit;
use super::values::put;
use super::{FlowView, Group, Need, always, app, bool, f64, formula, str};
use crate::columns::Text;
use crate::flow::FlowRef;
use crate::packet::ip_proto;
use crate::protocols::recognise::Verdict;
use crate::protocols::tls::{Facts, Transport, leaf};
use crate::protocols::vpn::Evidence;
use crate::protocols::{doh, tor};
use crate::trackers::{AppWants, TrackerMask};

/// Evidence from which on something is likely.
const LIKELY: f64 = 0.5;

/// The evidence in a flow.
pub struct View {
    verdict: Option<Verdict>,
    tor: tor::Evidence,
    vpn: Option<Evidence>,
    doh: Option<(&'static str, f64)>,
    /// DNS over TLS or QUIC.
    encrypted_dns: Option<(&'static str, &'static str)>,
    /// A hello of TLS, also later in the stream.
    hello: bool,
}

impl FlowView for View {
    type Of<'a> = Self;
}

impl View {
    fn of(flow: &FlowRef<'_>) -> Self {
        let seen = app::seen(flow);
        let facts = flow.app().and_then(|app| app.handshake());
        let over = |transport| facts.filter(|f| f.transport == transport);
        let resolver = |f: &Facts| f.client.as_ref().and_then(|c| c.server_name()).is_some_and(doh::is_resolver);
        let offers = |f: &Facts, wanted: fn(&[u8]) -> bool| {
            f.client.as_ref().and_then(|c| c.alpn()).is_some_and(|mut offered| offered.any(wanted))
        };
        let tcp = over(Transport::Tcp);
        let encrypted_dns = if tcp.is_some_and(|f| offers(f, |p| p == b"dot")) {
            Some(("dot", "dot_alpn"))
        } else if tcp.is_some_and(|f| flow.base.dst_port() == Some(853) && resolver(f)) {
            Some(("dot", "dot_resolver_sni"))
        } else if over(Transport::Quic).is_some_and(|f| offers(f, |p| p.starts_with(b"doq"))) {
            Some(("doq", "doq_alpn"))
        } else {
            None
        };
        let asks = seen.stream.and_then(|s| s.http1()).is_some_and(|http| http.dns_query);
        let doh = if asks {
            Some(("doh_http_request", 1.0))
        } else {
            let named = facts.is_some_and(|f| f.transport != Transport::Dtls && resolver(f));
            (named && encrypted_dns.is_none()).then_some(("doh_resolver_sni", 0.9))
        };
        Self {
            verdict: app::verdict(flow, &seen),
            tor: tcp.map(tor_evidence).unwrap_or_default(),
            vpn: seen.vpn(),
            doh,
            encrypted_dns,
            hello: flow.base.key.protocol == ip_proto::TCP && facts.is_some_and(Facts::has_hello),
        }
    }

    fn vpn(&self) -> f64 {
        self.vpn.map_or(0.0, |e| e.confidence)
    }

    fn doh(&self) -> f64 {
        self.doh.map_or(0.0, |(_, confidence)| confidence)
    }

    fn traffic_type(&self, out: &mut Text) -> Option<()> {
        if self.tor.confidence() >= LIKELY {
            put(out, "tor")
        } else if let Some(vpn) = self.vpn.filter(|e| e.confidence >= LIKELY) {
            put(out, "vpn:")?;
            put(out, vpn.vpn.name())
        } else if self.doh() >= LIKELY {
            put(out, "doh")
        } else if let Some((kind, _)) = self.encrypted_dns {
            put(out, kind)
        } else if self.hello || self.verdict.is_some_and(|v| v.protocol.is_encrypted()) {
            put(out, "encrypted")
        } else {
            self.verdict?;
            put(out, "clear")
        }
    }

    fn evidence(&self, out: &mut Text) -> Option<()> {
        let start = out.len();
        let vpn = self.vpn.map(|e| e.rule);
        let rules = self.tor.rules().chain(vpn).chain(self.doh.map(|d| d.0)).chain(self.encrypted_dns.map(|d| d.1));
        for rule in rules {
            if out.len() > start {
                out.push('+');
            }
            out.push_str(rule);
        }
        (out.len() > start).then_some(())
    }
}

/// The certificate is read only where its names can matter.
fn tor_evidence(facts: &Facts) -> tor::Evidence {
    let der = facts.certificates.as_ref().and_then(|c| c.leaf.as_deref());
    let leaf = der.filter(|der| tor::may_be_certificate(der)).and_then(leaf);
    tor::Evidence::of(facts, leaf.as_ref().map(|l| (&*l.issuer, &*l.subject)))
}

/// Evidence and what follows from it.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View> = Group {
    id: "fingerprint",
    doc: "Evidence of Tor, tunnels of VPNs and encrypted DNS, and the kind of traffic that follows from it.",
    source: "own rules, each named in fingerprint_evidence",
    null: "no evidence was found",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::APP,
    needs: &[Need::App(app::WANTS.union(AppWants::HTTP1).union(AppWants::TLS_RECORDS))],
    view: |flow, _, _| View::of(flow),
    features: &[
        always(bool("likely_tor", Extended, &|v: &View| Some(v.tor.confidence() >= LIKELY), "Whether tor_confidence is 0.5 or more.",
            formula("tor_confidence >= 0.5").source("Tor tor-spec"))),
        always(f64("tor_confidence", NoUnit, Extended, &|v: &View| Some(v.tor.confidence()), "Evidence of Tor added up, 0 to 1: made-up names in hello (0.2) and certificate (0.6), records of the length of cells (0.4).",
            formula("min(1, 0.2 tor_sni + 0.6 tor_certificate + 0.4 tor_cells)").source("Tor tor-spec").range(0, 1))),
        always(bool("likely_vpn", Extended, &|v: &View| Some(v.vpn() >= LIKELY), "Whether vpn_confidence is 0.5 or more.",
            formula("vpn_confidence >= 0.5").source("own definition"))),
        always(f64("vpn_confidence", NoUnit, Extended, &|v: &View| Some(v.vpn()), "Strongest evidence of a tunnel, 0 to 1.",
            formula("max(confidence of the rules that hold), 0 without").source("WireGuard and OpenVPN protocols, RFC 7296, RFC 3948, RFC 4302, RFC 2661, RFC 2637").range(0, 1))),
        str("vpn_type", Extended, |v, o| put(o, v.vpn?.vpn.name()), "What it is evidence of: wireguard, openvpn, ipsec-ike, ipsec-esp, ipsec-ah, l2tp, pptp.",
            formula("type of the rule with vpn_confidence").null("no rule holds").one_of(&["wireguard", "openvpn", "ipsec-ike", "ipsec-esp", "ipsec-ah", "l2tp", "pptp"])),
        always(bool("likely_doh", Extended, &|v: &View| Some(v.doh() >= LIKELY), "Whether doh_confidence is 0.5 or more.",
            formula("doh_confidence >= 0.5").source("RFC 8484"))),
        always(f64("doh_confidence", NoUnit, Extended, &|v: &View| Some(v.doh()), "Evidence of DNS over HTTPS: 1 a request in clear, 0.9 the name of a resolver.",
            formula("doh_http_request ? 1 : doh_resolver_sni ? 0.9 : 0").source("RFC 8484").range(0, 1))),
        str("traffic_type", Extended, |v, o| v.traffic_type(o), "tor, vpn:TYPE, doh, dot, doq; else encrypted or clear, by the application protocol.",
            formula("likely_tor ? tor : likely_vpn ? vpn:TYPE : likely_doh ? doh : DNS over TLS ? dot : over QUIC ? doq : encrypted or clear by app_protocol").null("no evidence, and no application protocol was recognised").source("RFC 7858, RFC 9250, RFC 8484").text("tor, vpn:TYPE, doh, dot, doq, encrypted, clear")),
        str("fingerprint_evidence", Extended, |v, o| v.evidence(o), "Names of the rules that held, joined by '+'.",
            formula("names of the rules that hold, joined by \"+\"").null("no rule holds").text("names of rules").since("0.2.0")),
    ],
};
