//! Names of ports of well-known services, after the IANA registry and common use.

/// The class of a port: a service's name, or the range that it lies in (RFC 6335 section 6).
pub fn class(port: u16) -> &'static str {
    match SERVICES.binary_search_by_key(&port, |s| s.0) {
        Ok(i) => SERVICES.get(i).map_or("", |s| s.1),
        Err(_) => match range(port) {
            1 => "system",
            2 => "registered",
            _ => "dynamic",
        },
    }
}

/// The range of a port: 1 system (below 1024), 2 registered (below 49152), 3 dynamic.
pub fn range(port: u16) -> i64 {
    match port {
        0..1024 => 1,
        1024..49152 => 2,
        _ => 3,
    }
}

/// Whether a port is that of a service: a system port, or one in the list.
pub fn is_service(port: u16) -> bool {
    port < 1024 || SERVICES.binary_search_by_key(&port, |s| s.0).is_ok()
}

/// By port.
const SERVICES: &[(u16, &str)] = &[
    (20, "ftp-data"),
    (21, "ftp"),
    (22, "ssh"),
    (23, "telnet"),
    (25, "smtp"),
    (53, "dns"),
    (67, "dhcp"),
    (68, "dhcp"),
    (69, "tftp"),
    (80, "http"),
    (88, "kerberos"),
    (110, "pop3"),
    (111, "rpcbind"),
    (123, "ntp"),
    (135, "msrpc"),
    (137, "netbios"),
    (138, "netbios"),
    (139, "netbios"),
    (143, "imap"),
    (161, "snmp"),
    (162, "snmp"),
    (179, "bgp"),
    (389, "ldap"),
    (443, "https"),
    (445, "smb"),
    (465, "smtps"),
    (500, "ike"),
    (514, "syslog"),
    (587, "smtp"),
    (636, "ldaps"),
    (853, "dns-tls"),
    (993, "imaps"),
    (995, "pop3s"),
    (1194, "openvpn"),
    (1433, "mssql"),
    (1883, "mqtt"),
    (1900, "ssdp"),
    (3306, "mysql"),
    (3389, "rdp"),
    (4500, "ike"),
    (5060, "sip"),
    (5353, "mdns"),
    (5432, "postgresql"),
    (5900, "vnc"),
    (6379, "redis"),
    (8080, "http"),
    (8443, "https"),
    (9092, "kafka"),
    (27017, "mongodb"),
    (51820, "wireguard"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_the_name_of_their_service_or_range() {
        assert!(SERVICES.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!([53, 443, 27017, 1, 1023].map(class), ["dns", "https", "mongodb", "system", "system"]);
        assert_eq!([1024, 49151, 49152].map(class), ["registered", "registered", "dynamic"]);
        assert_eq!([0, 1023, 1024, 49151, 49152, 65535].map(range), [1, 1, 2, 2, 3, 3]);
    }
}
