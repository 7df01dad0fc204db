//! Addresses as Rust's own sockets know them, for hosts that have these.

use super::address::{Endpoint, Ip};
use core::net::{IpAddr, SocketAddr};

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => Ip::V4(ip.octets()),
            IpAddr::V6(ip) => Ip::v6(ip.octets()),
        };
        Endpoint { ip, port: address.port() }
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        match endpoint.ip {
            Ip::V4(octets) => (octets, endpoint.port).into(),
            Ip::V6(octets) => (octets, endpoint.port).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_after_both_ways() {
        for text in ["192.0.2.1:21", "[2001:db8::1]:2121"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddr::from(Endpoint::from(address)), address);
        }
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:21".parse().unwrap();
        assert_eq!(Endpoint::from(mapped), Endpoint { ip: Ip::V4([192, 0, 2, 1]), port: 21 });
    }
}
