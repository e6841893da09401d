//! The socket that clients come to.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Clients that the kernel keeps for us.
const BACKLOG: i32 = 1024;

/// Listens on a name or an address. `::` is all addresses of both families; where there is no IPv6, those of IPv4.
pub(super) fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(e) => last = e,
        }
    }
    let all = Ipv6Addr::UNSPECIFIED.to_string();
    if host == all && !matches!(last.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) {
        return listen((Ipv4Addr::UNSPECIFIED, port).into());
    }
    Err(last)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let SocketAddr::V6(v6) = address {
        // Said, as what a system does by itself differs: all addresses are all addresses.
        socket.set_only_v6(!v6.ip().is_unspecified())?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_addresses_are_those_of_both_families() {
        let listener = bind("::", 0).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(bind("0.0.0.0", 0).unwrap().local_addr().unwrap().is_ipv4());
        assert!(bind("127.0.0.1", port).is_err());
    }
}
