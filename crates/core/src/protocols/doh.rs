//! DNS in encrypted transports: over HTTPS (RFC 8484), TLS (RFC 7858) and QUIC (RFC 9250).

use std::sync::LazyLock;

/// Names of public resolvers that serve DNS over HTTPS, one a line; `*.NAME` stands for every name below NAME.
static LIST: &str = include_str!("doh_resolvers.txt");

/// The names, sorted, and those below which every name is one, sorted.
static RESOLVERS: LazyLock<[Vec<&'static str>; 2]> = LazyLock::new(|| {
    let lines = || LIST.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let mut exact: Vec<_> = lines().filter(|l| !l.starts_with("*.")).collect();
    let mut below: Vec<_> = lines().filter_map(|l| l.strip_prefix("*.")).collect();
    exact.sort_unstable();
    below.sort_unstable();
    [exact, below]
});

/// Whether a server name is that of a public resolver.
pub fn is_resolver(server_name: &[u8]) -> bool {
    let name = server_name.strip_suffix(b".").unwrap_or(server_name);
    // Longer ones are no names (RFC 1035 section 2.3.4).
    let mut lower = [0; 253];
    let Some(lower) = lower.get_mut(..name.len()) else { return false };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let Ok(name) = std::str::from_utf8(lower) else { return false };
    let [exact, below] = &*RESOLVERS;
    let mut parents = name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
    exact.binary_search(&name).is_ok() || parents.any(|parent| below.binary_search(&parent).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_resolvers() {
        for yes in ["dns.google", "DNS.Google.", "abc.dns.nextdns.io", "a.b.cloudflare-dns.com"] {
            assert!(is_resolver(yes.as_bytes()), "{yes}");
        }
        for no in ["", ".", "google", "a.dns.google", "xdns.nextdns.io", "adguard-dns.com", "example.com"] {
            assert!(!is_resolver(no.as_bytes()), "{no}");
        }
        assert!(!is_resolver(b"\xff.dns.nextdns.io"));
        assert!(RESOLVERS[0].len() > 50 && RESOLVERS[1].len() >= 5);
    }
}
