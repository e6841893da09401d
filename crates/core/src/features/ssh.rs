//! SSH: identification strings, HASSH, and the packets of the key exchange.

use super::Profile::Extended;
use super::Unit::Count;
use super::values::{detected, hex, int, put};
use super::{FlowView, Group, Need, always, bool, formula, i64, str};
use crate::columns::Text;
use crate::packet::Side;
use crate::protocols::ssh::{Banner, Direction, Session};
use crate::trackers::{AppWants, TrackerMask};

/// SSH of a flow; none where it was not seen.
pub struct View<'a> {
    /// Whether it was detected, in this row or in an earlier one.
    detected: bool,
    session: Option<&'a Session>,
    /// The initiator.
    client: Side,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;

    fn is_absent(view: &Self::Of<'_>) -> bool {
        view.session.is_none() && !view.detected
    }
}

impl<'a> View<'a> {
    /// A direction that has an identification string: behind other lines, a server's only (RFC 4253 section 4.2).
    fn side(&self, side: Side) -> Option<&'a Direction> {
        let direction = self.session?.side(side);
        (direction.banner.is_some() && !(direction.after_lines && side == self.client)).then_some(direction)
    }

    fn client(&self) -> Option<&'a Direction> {
        self.side(self.client)
    }

    fn server(&self) -> Option<&'a Direction> {
        self.side(self.client.other())
    }

    /// The session, where SSH was seen.
    fn seen(&self) -> Option<&'a Session> {
        self.session.filter(|_| self.client().is_some() || self.server().is_some())
    }

    /// The version that both ends speak.
    fn version(&self) -> Option<&'a str> {
        let version = |d: &'a Direction| d.banner.as_ref().map(|b| &*b.version);
        let (client, server) = (self.client().and_then(version), self.server().and_then(version));
        match (client, server) {
            (Some(client), Some(server)) => {
                let other = |v: &&str| !matches!(*v, "2.0" | "1.99");
                Some([client, server].into_iter().find(other).unwrap_or("2.0"))
            }
            (one, another) => one.or(another),
        }
    }

    /// The session, where the version is 2: packets of version 1 are not read.
    fn two(&self) -> Option<&'a Session> {
        self.seen().filter(|_| matches!(self.version(), Some("2.0" | "1.99")))
    }

    fn kex_packets(&self) -> Option<i64> {
        let session = self.two()?;
        Some(int([Side::A, Side::B].iter().map(|s| session.side(*s).kex_packets).sum()))
    }
}

fn software(direction: Option<&Direction>, out: &mut Text) -> Option<()> {
    put(out, direction?.banner.as_ref()?.software.as_deref()?)
}

fn version(direction: Option<&Direction>, out: &mut Text) -> Option<()> {
    put(out, direction?.banner.as_ref().map(|b: &Banner| &*b.version)?)
}

/// Strings and packets in clear.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "ssh",
    doc: "SSH: identification strings, HASSH, packets of the key exchange.",
    source: "RFC 4253 section 4.2",
    null: "not SSH, or that end's identification string was not read",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::APP,
    needs: &[Need::App(AppWants::SSH)],
    view: |flow, _, _| {
        let session = flow.app().and_then(|app| app.stream()?.ssh());
        let mut view = View { detected: false, session, client: flow.base.initiator() };
        view.detected = detected(flow, view.seen().is_some(), |e| e.ssh);
        view
    },
    features: &[
        always(bool("ssh_detected", Extended, &|v: &View<'_>| Some(v.detected), "Whether a direction begins with an identification string.",
            formula("a direction begins with \"SSH-\", ended by LF within 512 bytes; the responder's may follow 64 other lines"))),
        str("ssh_version", Extended, |v, o| put(o, v.version()?), "Version of the protocol that both ends speak.",
            formula("both of 2.0 or 1.99 ? 2.0 : the other version").null("not SSH").source("RFC 4253 section 5.1").text("version, such as 2.0")),
        str("ssh_client_software", Extended, |v, o| software(v.client(), o), "Software of the client, up to the first white space.",
            formula("softwareversion of fwd, up to the first white space").text("name of a software")),
        str("ssh_server_software", Extended, |v, o| software(v.server(), o), "Software of the server, up to the first white space.",
            formula("softwareversion of bwd, up to the first white space").text("name of a software")),
        str("ssh_client_version", Extended, |v, o| version(v.client(), o), "Version in the client's identification string.",
            formula("protoversion of fwd").text("version, such as 2.0")),
        str("ssh_server_version", Extended, |v, o| version(v.server(), o), "Version in the server's identification string.",
            formula("protoversion of bwd").text("version, such as 2.0")),
        str("ssh_hassh", Extended, |v, o| hex(&v.client()?.hassh?.client, o), "HASSH: MD5 of the client's algorithms.",
            formula("MD5 of \"kex;encryption;mac;compression\" of KEXINIT(fwd), client to server").null("no KEXINIT of the client was read").source("Reardon: HASSH (2018); RFC 4253 section 7.1").hex(32)),
        str("ssh_hassh_server", Extended, |v, o| hex(&v.server()?.hassh?.server, o), "HASSH of the server: MD5 of its algorithms.",
            formula("MD5 of \"kex;encryption;mac;compression\" of KEXINIT(bwd), server to client").null("no KEXINIT of the server was read").source("Reardon: HASSH (2018); RFC 4253 section 7.1").hex(32)),
        i64("ssh_kex_packets", Count, Extended, &|v: &View<'_>| v.kex_packets(), "Packets in clear with a message number from 20 to 49, NEWKEYS included.",
            formula("count(packets in clear with message number 20 to 49)").null("not SSH, or version 1").source("RFC 4250 section 4.1.2, RFC 4253 section 6")),
        i64("ssh_encrypted_packets", Count, Extended, &|v: &View<'_>| v.two()?.encrypted_segments().map(int), "Segments with a byte behind the NEWKEYS of their direction.",
            formula("count(segments with a new byte behind NEWKEYS)").null("no NEWKEYS was read, or version 1").source("RFC 4253 section 7.3")),
    ],
};
