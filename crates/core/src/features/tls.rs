//! TLS: what the handshake says that anybody can read, over TCP, as DTLS, and in QUIC.

use std::cell::OnceCell;
use std::fmt::Write;
use std::sync::Arc;

use super::Profile::{Core, Extended};
use super::Unit::{Bits, Bytes, Count, None as NoUnit, Seconds};
use super::ja4_lists::Ja4Lists;
use super::leaves::Leaves;
use super::values::{detected, hex, int, put, wire_text};
use super::{FlowView, Group, Need, Split, always, bool, formula, i64, private, split, str};
use crate::columns::Text;
use crate::digits::{Digits, push_numbers};
use crate::privacy::Privacy::{Id, Name};
use crate::protocols::fingerprints::{Ja4, Ja4List, Over, ja3_hash, ja3s_hash};
use crate::protocols::tls::{
    Certificates, ClientHello, Facts, KeyExchange, Leaf, Transport, ext, group_name, is_grease, is_post_quantum,
    write_version,
};
use crate::trackers::{AppWants, TrackerMask};

/// The handshake of a flow; none where TLS was not seen.
pub struct View<'a> {
    /// Whether it was detected, in this row or in an earlier one.
    detected: bool,
    facts: Option<&'a Facts>,
    /// The server's certificate, read when the first feature of it is made.
    leaf: OnceCell<Option<Arc<Leaf>>>,
    /// Where those that were read are; none without a certificate.
    leaves: Option<Leaves>,
    /// The lists of the client's fingerprint, made for the first feature of them.
    ja4_lists: OnceCell<[Arc<Ja4List>; 2]>,
    /// Where those that were made are; none without a handshake.
    known_ja4_lists: Option<Ja4Lists>,
}

impl FlowView for View<'static> {
    type Of<'a> = View<'a>;

    fn is_absent(view: &Self::Of<'_>) -> bool {
        view.facts.is_none() && !view.detected
    }
}

impl<'a> View<'a> {
    fn hello(&self) -> Option<&'a ClientHello> {
        self.facts?.client.as_ref()
    }

    fn has(&self, extension: u16) -> Option<bool> {
        Some(self.hello()?.has(extension))
    }

    fn ja4(&self) -> Option<Ja4<'a>> {
        let over = match self.facts?.transport {
            Transport::Tcp => Over::Tcp,
            Transport::Dtls => Over::Dtls,
            Transport::Quic => Over::Quic,
        };
        Some(Ja4 { hello: self.hello()?, over })
    }

    fn ja4_lists(&self, ja4: &Ja4<'_>) -> Option<&[Arc<Ja4List>; 2]> {
        let known = self.known_ja4_lists.as_ref()?;
        Some(self.ja4_lists.get_or_init(|| ja4.lists(|sorted, algorithms| known.list(sorted, algorithms))))
    }

    fn write_ja4(&self, out: &mut Text) -> Option<()> {
        let ja4 = self.ja4()?;
        ja4.write(self.ja4_lists(&ja4)?, out).ok()
    }

    fn write_ja4_raw(&self, out: &mut Text) -> Option<()> {
        let ja4 = self.ja4()?;
        ja4.write_raw(self.ja4_lists(&ja4)?, out).ok()
    }

    fn key_exchange(&self) -> Option<KeyExchange> {
        self.facts?.key_exchange()
    }

    fn key_shares(&self) -> Option<impl Iterator<Item = u16> + use<'a>> {
        Some(self.hello()?.key_shares().iter().copied().filter(|g| !is_grease(*g)))
    }

    fn certificates(&self) -> Option<&'a Certificates> {
        self.facts?.certificates.as_ref()
    }

    fn der(&self) -> Option<&'a [u8]> {
        self.certificates()?.leaf.as_deref()
    }

    fn leaf(&self) -> Option<&Leaf> {
        self.leaf.get_or_init(|| self.leaves.as_ref()?.read(self.der()?)).as_deref()
    }
}

/// Joins texts by commas.
fn joined<'b>(texts: impl Iterator<Item = &'b [u8]>, out: &mut Text) -> Option<()> {
    for (i, text) in texts.enumerate() {
        if i > 0 {
            out.push(',');
        }
        wire_text(text, out)?;
    }
    Some(())
}

fn group_name_of(k: KeyExchange, out: &mut Text) -> Option<()> {
    match (k.group, k.prime_bits) {
        (Some(group), _) => match group_name(group) {
            Some(name) => put(out, name),
            None => write!(out, "0x{group:04x}").ok(),
        },
        (None, Some(bits)) => write!(out, "dhe{bits}").ok(),
        (None, None) => None,
    }
}

/// Joins numbers by hyphens; none where there are none.
fn numbers(values: impl Iterator<Item = u16>, out: &mut Text) -> Option<()> {
    let start = out.len();
    push_numbers(out, b'-', values, Digits::decimal);
    (out.len() > start).then_some(())
}

// When there is no value.
const NO_HELLO: &str = "no complete ClientHello or ServerHello was read";
const NO_SERVER: &str = "no ServerHello was read";
const NO_CERTIFICATE: &str = "no Certificate message of the server in clear (TLS 1.3, resumption, or not captured)";
const NO_LEAF: &str = "no Certificate message of the server in clear, or its leaf is not DER";

/// The handshake.
#[rustfmt::skip] // a feature: what it is, and how
pub static GROUP: Group<View<'static>> = Group {
    id: "tls",
    doc: "Handshakes of TLS over TCP, DTLS, and TLS in QUIC; their fingerprints and certificates.",
    source: "RFC 8446, RFC 5246, RFC 9147",
    null: "no complete ClientHello was read",
    since: "0.1.6",
    opt_in: false,
    uses: TrackerMask::APP,
    needs: &[Need::App(AppWants::TLS)],
    view: |flow, scratch, _| {
        let facts = flow.app().and_then(|app| app.handshake());
        let leaves = facts.and_then(|f| f.certificates.as_ref()).map(|_| scratch.leaves().clone());
        View {
            detected: detected(flow, facts.is_some(), |e| e.tls),
            facts,
            leaf: OnceCell::new(),
            leaves,
            ja4_lists: OnceCell::new(),
            known_ja4_lists: facts.map(|_| scratch.ja4_lists().clone()),
        }
    },
    features: &[
        always(bool("tls_detected", Core, &|v: &View<'_>| Some(v.detected), "Whether TLS, DTLS or TLS in QUIC was seen: a hello, or records without one.",
            formula("a hello of TLS, DTLS or QUIC begins, or a stream or datagrams are made of records").source("RFC 8446 section 5.1"))),
        split(Split::Both, i64("tls_version", NoUnit, Core, &|v: &View<'_>| Some(v.facts?.version()?.into()), "Version that the server chose; without a ServerHello, the highest that the client offered.",
            formula("SH.supported_versions, else SH.legacy_version, else max(CH.supported_versions without GREASE), else CH.legacy_version").null(NO_HELLO).source("RFC 8446 section 4.2.1").range(0, 65535))),
        str("tls_version_str", Core, |v, o| write_version(v.facts?.version()?, o).ok(), "Name of tls_version: TLS 1.3, DTLS 1.2; of others, the number.",
            formula("name(tls_version), else its hexadecimal digits").null(NO_HELLO).source("IANA TLS parameters").text("name of a version")),
        split(Split::Both, i64("tls_cipher_suite", NoUnit, Core, &|v: &View<'_>| Some(v.facts?.any_server_hello()?.cipher.into()), "Cipher suite that the server chose.",
            formula("SH.cipher_suite").null(NO_SERVER).source("RFC 8446 section 4.1.3").range(0, 65535))),
        i64("tls_cipher_count", Count, Core, &|v: &View<'_>| Some(int(v.hello()?.ciphers().len() as u64)), "Cipher suites in the ClientHello, GREASE included.",
            formula("count(CH.cipher_suites)").source("RFC 8446 section 4.1.2")),
        i64("tls_extension_count", Count, Core, &|v: &View<'_>| Some(int(v.hello()?.extensions().len() as u64)), "Extensions in the ClientHello, GREASE included.",
            formula("count(CH.extensions)").source("RFC 8446 section 4.2")),
        private(Name, str("tls_sni", Core, |v, o| wire_text(v.hello()?.server_name()?, o), "First host name of server_name in the ClientHello; with ECH, the outer name.",
            formula("first host_name of CH.server_name").null("no complete ClientHello was read, or it has no such name").source("RFC 6066 section 3").text("host name"))),
        str("tls_alpn", Core, |v, o| wire_text(v.facts?.any_server_hello()?.alpn()?, o), "Application protocol that the server chose, where its ServerHello shows it (up to TLS 1.2).",
            formula("SH.application_layer_protocol_negotiation").null("no ServerHello was read, or it shows no ALPN (encrypted in TLS 1.3)").source("RFC 7301 section 3.1").text("ALPN protocol id")),
        str("ja3_hash", Core, |v, o| hex(&ja3_hash(v.hello()?), o), "JA3 of the first ClientHello: MD5 of its version, ciphers, extensions, groups and point formats.",
            formula("MD5 of \"version,ciphers,extensions,groups,point formats\" of the CH, numbers joined by \"-\", without GREASE").source("Althouse, Atkinson, Atkins: JA3 (2017)").hex(32)),
        str("ja3s_hash", Core, |v, o| hex(&ja3s_hash(v.facts?.any_server_hello()?), o), "JA3S of the ServerHello: MD5 of its version, cipher and extensions.",
            formula("MD5 of \"version,cipher,extensions\" of the SH").null(NO_SERVER).source("Althouse, Atkinson, Atkins: JA3 (2017)").hex(32)),
        i64("tls_handshake_packets", Count, Core, &|v: &View<'_>| v.facts.filter(|f| f.has_hello() && f.transport != Transport::Quic).map(|f| int(f.handshake_packets)), "Segments or datagrams with a byte of a handshake record, until the direction's first application data; null for QUIC.",
            formula("count(segments or datagrams with a byte of a record of type 22, before the direction's first of type 23)").null("QUIC, or no hello was read").source("RFC 8446 section 5.1")),
        i64("tls_cert_count", Count, Core, &|v: &View<'_>| Some(v.certificates()?.count.into()), "Certificates in the server's first Certificate message.",
            formula("count(Certificate.certificate_list of the server)").null(NO_CERTIFICATE).source("RFC 5246 section 7.4.2")),
        i64("tls_cert_total_length", Bytes, Core, &|v: &View<'_>| Some(v.certificates()?.total_len.into()), "Sum of the lengths of these certificates.",
            formula("sum(length of each certificate)").null(NO_CERTIFICATE).source("RFC 5246 section 7.4.2")),
        i64("tls_cert_first_length", Bytes, Core, &|v: &View<'_>| Some(int(v.der()?.len() as u64)), "Length of the first of them, the leaf.",
            formula("length of the first certificate").null(NO_CERTIFICATE).source("RFC 5246 section 7.4.2")),
        i64("tls_cert_chain_length", Count, Core, &|v: &View<'_>| Some(v.certificates()?.count.into()), "The same as tls_cert_count.",
            formula("count(Certificate.certificate_list of the server)").null(NO_CERTIFICATE).source("RFC 5246 section 7.4.2")),
        i64("tls_session_id_len", Bytes, Core, &|v: &View<'_>| Some(v.hello()?.session_id_len.into()), "Length of the session id in the ClientHello.",
            formula("length of CH.legacy_session_id").source("RFC 8446 section 4.1.2").range(0, 32)),
        bool("tls_session_ticket_ext", Core, &|v: &View<'_>| v.has(ext::SESSION_TICKET), "Whether the ClientHello has the extension session_ticket.",
            formula("CH has extension 35").source("RFC 5077 section 3.2")),
        bool("tls_session_resumed", Core, &|v: &View<'_>| v.facts?.resumed(), "Whether an earlier session was resumed, by the rule of the version.",
            formula("TLS 1.3: SH has pre_shared_key; before: the offered session id was taken, or ChangeCipherSpec follows the SH without Certificate, ServerKeyExchange or ServerHelloDone").null("no ServerHello was read, or what follows it is not known").source("RFC 8446 section 4.2.11, RFC 5246 section 7.3, RFC 5077 section 3.1")),
        bool("tls_psk_ext", Core, &|v: &View<'_>| v.has(ext::PRE_SHARED_KEY), "Whether the ClientHello has the extension pre_shared_key.",
            formula("CH has extension 41").source("RFC 8446 section 4.2.11")),
        bool("tls_early_data_ext", Core, &|v: &View<'_>| v.has(ext::EARLY_DATA), "Whether the ClientHello has the extension early_data.",
            formula("CH has extension 42").source("RFC 8446 section 4.2.10")),
        split(Split::Both, i64("tls_key_exchange_group", NoUnit, Core, &|v: &View<'_>| Some(v.key_exchange()?.group?.into()), "Group of the key exchange that took place.",
            formula("TLS 1.3: group of SH.key_share; before: ServerKeyExchange.named_curve, or the group of RFC 7919 with its prime").null("no such message, or static RSA, PSK, or a prime of its own").source("RFC 8446 section 4.2.8, RFC 8422 section 5.4, RFC 7919").range(0, 65535))),
        str("tls_key_exchange_group_name", Core, |v, o| group_name_of(v.key_exchange()?, o), "Its name; of Diffie-Hellman with a prime of its own, dhe and the bits of the prime.",
            formula("name(tls_key_exchange_group), else its hexadecimal digits; dhe and the bits of another prime").null("no such message, or static RSA or PSK").source("IANA TLS supported groups").text("name of a group")),
        i64("tls_key_exchange_length", Bits, Core, &|v: &View<'_>| Some(8 * i64::from(v.key_exchange()?.public_len)), "Bits of the server's public value as sent.",
            formula("8 * length of the server's public value").null("no such message, or static RSA or PSK").source("RFC 8446 section 4.2.8, RFC 5246 section 7.4.3")),
        str("tls_transport", Extended, |v, o| put(o, v.facts?.transport.name()), "What carried the handshake: tcp, dtls, quic.",
            formula("what carried the hello or the records").null("TLS was not detected").source("RFC 8446, RFC 9147, RFC 9001").one_of(&["tcp", "dtls", "quic"]).since("0.2.0")),
        str("ja4", Extended, |v, o| v.write_ja4(o), "JA4 of the first ClientHello.",
            formula("\"a_b_c\": a of transport, version, SNI, counts, ALPN; b, c 12 digits of SHA-256 of sorted ciphers, of sorted extensions and signature algorithms").source("FoxIO: JA4 (2023)").text("36 characters").since("0.2.0")),
        str("ja4_raw", Extended, |v, o| v.write_ja4_raw(o), "JA4 with the lists in place of their hashes (JA4_r).",
            formula("ja4 with the lists in place of b and c").source("FoxIO: JA4 (2023), JA4_r").text("text in the form of JA4_r").since("0.2.0")),
        str("tls_alpn_offered", Extended, |v, o| joined(v.hello()?.alpn()?, o), "All application protocols that the client offered, joined by commas.",
            formula("CH.application_layer_protocol_negotiation joined by \",\"").null("no complete ClientHello was read, or it has no ALPN").source("RFC 7301 section 3.1").text("ALPN protocol ids").since("0.2.0")),
        bool("tls_hello_retry", Extended, &|v: &View<'_>| v.facts.filter(|f| f.any_server_hello().is_some()).map(|f| f.retry.is_some()), "Whether the server sent a HelloRetryRequest.",
            formula("a ServerHello with the random of HelloRetryRequest").null("neither ServerHello nor HelloRetryRequest was read").source("RFC 8446 section 4.1.4").since("0.2.0")),
        str("tls_key_share_groups", Extended, |v, o| numbers(v.key_shares()?, o), "Groups of the key shares in the first ClientHello, joined by hyphens, without GREASE.",
            formula("groups of CH.key_share without GREASE, joined by \"-\"").null("no complete ClientHello was read, or it has no key share").source("RFC 8446 section 4.2.8").text("numbers of groups").since("0.2.0")),
        bool("tls_pq_key_share", Extended, &|v: &View<'_>| Some(v.key_shares()?.any(is_post_quantum)), "Whether one of them is post-quantum or a hybrid.",
            formula("any of tls_key_share_groups is a KEM or a hybrid with one").source("draft-ietf-tls-ecdhe-mlkem, IANA TLS supported groups").since("0.2.0")),
        bool("tls_ech_ext", Extended, &|v: &View<'_>| v.has(ext::ENCRYPTED_CLIENT_HELLO), "Whether the ClientHello has the extension encrypted_client_hello, in earnest or as GREASE.",
            formula("CH has extension 0xfe0d").source("RFC 9849").since("0.2.0")),
        private(Name, str("tls_cert_issuer", Extended, |v, o| put(o, &v.leaf()?.issuer), "Issuer of the leaf, as RFC 4514 writes it.",
            formula("leaf.issuer").null(NO_LEAF).source("RFC 5280 section 4.1.2.4, RFC 4514").text("distinguished name").since("0.2.0"))),
        private(Name, str("tls_cert_subject", Extended, |v, o| put(o, &v.leaf()?.subject), "Subject of the leaf, as RFC 4514 writes it.",
            formula("leaf.subject").null(NO_LEAF).source("RFC 5280 section 4.1.2.6, RFC 4514").text("distinguished name").since("0.2.0"))),
        private(Name, str("tls_cert_sans", Extended, |v, o| put(o, v.leaf()?.sans.as_ref()?), "DNS names and addresses of the leaf's subjectAltName, joined by commas.",
            formula("dNSName and iPAddress of leaf.subjectAltName, joined by \",\"").null("no Certificate message in clear, or no such names in its leaf").source("RFC 5280 section 4.2.1.6").text("names and addresses").since("0.2.0"))),
        i64("tls_cert_not_before", Seconds, Extended, &|v: &View<'_>| Some(v.leaf()?.not_before), "Start of the leaf's validity, since the Unix epoch.",
            formula("leaf.validity.notBefore").null(NO_LEAF).source("RFC 5280 section 4.1.2.5").any().since("0.2.0")),
        i64("tls_cert_not_after", Seconds, Extended, &|v: &View<'_>| Some(v.leaf()?.not_after), "End of the leaf's validity, since the Unix epoch.",
            formula("leaf.validity.notAfter").null(NO_LEAF).source("RFC 5280 section 4.1.2.5").any().since("0.2.0")),
        str("tls_cert_key_type", Extended, |v, o| put(o, &v.leaf()?.key_type), "Algorithm of the leaf's public key: rsa, rsa-pss, ec, dsa, dh, ed25519, ed448, or an object identifier.",
            formula("leaf.subjectPublicKeyInfo.algorithm").null(NO_LEAF).source("RFC 3279, RFC 5480, RFC 8410").text("name of an algorithm, or its object identifier").since("0.2.0")),
        i64("tls_cert_key_bits", Bits, Extended, &|v: &View<'_>| Some(v.leaf()?.key_bits?.into()), "Size of the leaf's public key.",
            formula("RSA: bits of the modulus; DSA, DH: of p; EC: of the curve's field; ed25519: 256, ed448: 456").null("no Certificate message in clear, or another type or curve").source("RFC 3279, RFC 5480, RFC 8410").since("0.2.0")),
        bool("tls_cert_self_signed", Extended, &|v: &View<'_>| Some(v.leaf()?.self_signed), "Whether issuer and subject of the leaf are the same; the signature is not verified.",
            formula("leaf.issuer = leaf.subject").null(NO_LEAF).source("RFC 5280 section 3.2").since("0.2.0")),
        private(Id, str("tls_cert_sha256", Extended, |v, o| hex(&v.leaves.as_ref()?.sha256(v.der()?), o), "SHA-256 of the leaf.",
            formula("SHA-256 of the first certificate").null(NO_CERTIFICATE).source("FIPS 180-4").hex(64).since("0.2.0"))),
    ],
};
