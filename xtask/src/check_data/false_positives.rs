//! What no capture of ordinary traffic may be taken for: each rule is counted where it could be broken.
//!
//! These need no answers of tshark. `vpn_tor_doh/` has what the last rule is about, so that one leaves it out.

use std::error::Error;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};

use super::compare::Verdicts;

/// The rules, in the order of the report.
pub const RULES: [&str; 3] = ["http2_by_alpn", "no_quic_in_dns", "no_tunnel_on_web"];

/// Columns that the rules read, beside those of the comparison.
pub const FLAGS: [&str; 7] = [
    "tls_detected",
    "http2_detected",
    "http2_preface_seen",
    "quic_detected",
    "dns_detected",
    "likely_tor",
    "likely_vpn",
];
/// The same, of text.
pub const TEXTS: [&str; 3] = ["tls_alpn", "tls_alpn_offered", "app_protocol"];

/// Where the captures of tunnels lie.
const TUNNELS: &str = "vpn_tor_doh/";

/// What the rules read of one flow.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// As in [`FLAGS`]; a null is false.
    flags: [bool; 7],
    /// As in [`TEXTS`].
    texts: [Option<String>; 3],
}

impl Seen {
    /// The rows of a batch.
    pub fn read(batch: &RecordBatch) -> Result<Vec<Self>, Box<dyn Error>> {
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| format!("no column {name}"));
        let mut seen = vec![Self::default(); batch.num_rows()];
        for (n, name) in FLAGS.iter().enumerate() {
            let flags = column(name)?.as_boolean();
            seen.iter_mut().enumerate().for_each(|(i, row)| row.flags[n] = flags.is_valid(i) && flags.value(i));
        }
        for (n, name) in TEXTS.iter().enumerate() {
            let texts = column(name)?.as_string::<i32>();
            let text = |i: usize| texts.is_valid(i).then(|| texts.value(i).to_owned());
            seen.iter_mut().enumerate().for_each(|(i, row)| row.texts[n] = text(i));
        }
        Ok(seen)
    }
}

/// Judges a flow of this capture: protocol, ports.
pub fn judge(v: &mut Verdicts, file: &str, protocol: u8, ports: [u16; 2], seen: &Seen) {
    let [tls, http2, preface, quic, dns, tor, vpn] = seen.flags;
    let [alpn, offered, app] = &seen.texts;
    let what = || format!("protocol {protocol}, ports {ports:?}: {seen:?}");
    if tls && protocol == 6 && !preface {
        let named = |list: &Option<String>| list.as_ref().is_some_and(|l| l.split(',').any(|p| p == "h2"));
        v.judge(RULES[0], !http2 || named(alpn) || named(offered), what);
    }
    if dns || ports.contains(&53) {
        v.judge(RULES[1], !quic, what);
    }
    let on_web_port = ports.iter().any(|p| matches!(p, 80 | 443 | 8080 | 8443));
    let web = match app.as_deref() {
        Some("http" | "http2") => true,
        Some("tls" | "quic") => on_web_port,
        _ => false,
    };
    if web && !file.starts_with(TUNNELS) {
        v.judge(RULES[2], !(tor || vpn), what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(file: &str, protocol: u8, ports: [u16; 2], flags: &[&str], texts: [&str; 3]) -> Vec<&'static str> {
        let seen = Seen {
            flags: FLAGS.map(|f| flags.contains(&f)),
            texts: texts.map(|t| (!t.is_empty()).then(|| t.to_owned())),
        };
        let mut v = Verdicts::default();
        judge(&mut v, file, protocol, ports, &seen);
        RULES.into_iter().filter(|rule| v.counts.get(rule).is_some_and(|(equal, all)| equal < all)).collect()
    }

    #[test]
    fn each_rule_can_be_broken() {
        let h2 = ["tls_detected", "http2_detected"];
        assert_eq!(broken("a", 6, [1, 443], &h2, ["", "http/1.1", "tls"]), [RULES[0]]);
        assert!(broken("a", 6, [1, 443], &h2, ["", "http/1.1,h2", "tls"]).is_empty());
        assert!(broken("a", 6, [1, 443], &h2, ["h2", "", "tls"]).is_empty());
        assert_eq!(broken("a", 17, [1, 53], &["quic_detected"], [""; 3]), [RULES[1]]);
        assert!(broken("a", 17, [1, 443], &["quic_detected"], ["", "", "quic"]).is_empty());
        for verdict in ["likely_tor", "likely_vpn"] {
            assert_eq!(broken("a", 6, [1, 443], &[verdict], ["", "", "tls"]), [RULES[2]]);
            assert_eq!(broken("a", 6, [1, 9], &[verdict], ["", "", "http"]), [RULES[2]]);
            assert!(broken("vpn_tor_doh/a", 6, [1, 443], &[verdict], ["", "", "tls"]).is_empty());
            assert!(broken("a", 17, [1, 9], &[verdict], ["", "", "wireguard"]).is_empty());
        }
    }
}
