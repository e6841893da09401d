//! Why values differ from the references': one line for each feature that does.

/// Names of features or fingerprints, and the reason.
pub const WHY: &[(&[&str], &str)] = &[
    (
        &["conn_src_total_bytes", "conn_dst_total_bytes"],
        "an IP header that says more than its frame held on the wire: a length is never more than the frame's",
    ),
    (&["dns_unique_names"], "counted up to 1,024: memory of a flow is bounded"),
    (
        &["http_host", "http_user_agent", "http_content_type"],
        "the reference drops the first field behind a start line; where it comes second, the values are equal",
    ),
    (
        &["ip_ttl_bwd_min", "ip_ttl_bwd_max", "ip_ttl_bwd_mean", "ip_ttl_bwd_changes"],
        "both ends have one address: of such packets ICMP's direction is told by request and reply, the reference takes all as forward",
    ),
    (&["ipv6_flow_label_changes"], "as ip_ttl_bwd_min: labels change within what the reference takes as one direction"),
    (
        &["mac_src", "mac_dst", "mac_eth_type"],
        "provider backbone bridges: the reference takes the outer Ethernet header, we the one nearest to the IP header",
    ),
    (
        &["tls_session_resumed"],
        "QUIC: the ServerHello that follows a HelloRetryRequest was read, the reference stops before it; TLS 1.2: a capture \
         that ends with the ServerHello does not show it, the reference says false",
    ),
    (
        &["tls_key_exchange_group", "tls_key_exchange_group_name", "tls_key_exchange_length"],
        "QUIC: the ServerHello that follows a HelloRetryRequest was read, the reference stops before it",
    ),
    (&["sni", "ja3s"], GOOGLE),
    (
        &["ja3"],
        "Google's QUIC, as sni; and a malformed hello without extensions, for which tshark hashes `769,,` and the definition \
         asks for `769,,,,`",
    ),
    (
        &["ja4"],
        "Google's QUIC, as sni; and an ALPN that is not ASCII: hexadecimal digits of its first and last byte, as the \
         definition says now, tshark's dissection has replaced one of them",
    ),
];

const GOOGLE: &str = "Google's QUIC version T051: of gQUIC nothing but the version is read";
