//! Addresses: the arguments of PORT, EPRT and EPSV, the reply of PASV (RFC 959 4.1.2, RFC 2428), and addresses as sockets and systems show them.

use super::arguments::whole_number;
use super::writer::Writer;

/// An IP address. Everything here that makes one turns an IPv4 address in IPv6 form (`::ffff:a.b.c.d`) into a `V4`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ip {
    /// IPv4.
    V4([u8; 4]),
    /// IPv6.
    V6([u8; 16]),
}

/// An address and a TCP port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "their names say it")]
pub struct Endpoint {
    pub ip: Ip,
    pub port: u16,
}

/// Why an argument of EPRT or EPSV is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EprtError {
    /// It does not have the form of RFC 2428: 501.
    Syntax,
    /// The network protocol is neither 1 (IPv4) nor 2 (IPv6): 522.
    Protocol,
}

/// The argument of EPSV.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Epsv {
    /// None: the protocol of the control connection.
    Any,
    /// 1: IPv4.
    V4,
    /// 2: IPv6.
    V6,
    /// ALL: nothing but EPSV from now on.
    All,
}

impl Ip {
    /// From the 16 bytes of IPv6.
    pub fn v6(bytes: [u8; 16]) -> Ip {
        match bytes {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => Ip::V4([a, b, c, d]),
            _ => Ip::V6(bytes),
        }
    }

    /// As text; IPv6 with its longest run of zero groups as `::` (RFC 5952 4).
    pub fn write(&self, out: &mut Writer<'_>) {
        match self {
            Ip::V4(bytes) => write_list(bytes, b'.', out),
            Ip::V6(bytes) => write_v6(bytes, out),
        }
    }
}

/// `1.2.3.4`, `1,2,3,4`.
fn write_list(bytes: &[u8], separator: u8, out: &mut Writer<'_>) {
    for (index, &byte) in bytes.iter().enumerate() {
        if index > 0 {
            out.byte(separator);
        }
        out.dec(byte.into());
    }
}

fn write_v6(bytes: &[u8; 16], out: &mut Writer<'_>) {
    let mut groups = [0u16; 8];
    for (group, pair) in groups.iter_mut().zip(bytes.chunks_exact(2)) {
        *group = u16::from(pair[0]) << 8 | u16::from(pair[1]);
    }
    // The first of the longest runs of at least two zeros.
    let (mut run_start, mut run_length) = (8, 1);
    let mut start = 0;
    for (index, &group) in groups.iter().enumerate() {
        if group != 0 {
            start = index + 1;
        } else if index + 1 - start > run_length {
            (run_start, run_length) = (start, index + 1 - start);
        }
    }
    let mut index = 0;
    while index < 8 {
        if index == run_start {
            out.put(b"::");
            index += run_length;
            continue;
        }
        if index > 0 && index != run_start + run_length {
            out.byte(b':');
        }
        out.hex(groups[index].into());
        index += 1;
    }
}

/// `h1,h2,h3,h4,p1,p2` of the 227.
pub fn write_passive(address: [u8; 4], port: u16, out: &mut Writer<'_>) {
    let [high, low] = port.to_be_bytes();
    let [a, b, c, d] = address;
    write_list(&[a, b, c, d, high, low], b',', out);
}

/// Reads as many numbers as there is room for; nothing may follow them. Not inlined, because it is needed with four and with six numbers.
#[inline(never)]
fn numbers(text: &[u8], separator: u8, bytes: &mut [u8]) -> Option<()> {
    let mut parts = text.split(|&byte| byte == separator);
    for byte in bytes {
        *byte = u8::try_from(whole_number(parts.next()?)?).ok()?;
    }
    parts.next().is_none().then_some(())
}

/// Reads PORT's `h1,h2,h3,h4,p1,p2`; `None` for anything else.
pub fn parse_port(argument: &[u8]) -> Option<Endpoint> {
    let mut bytes = [0; 6];
    numbers(argument, b',', &mut bytes)?;
    let [a, b, c, d, high, low] = bytes;
    Some(Endpoint { ip: Ip::V4([a, b, c, d]), port: u16::from_be_bytes([high, low]) })
}

/// Reads EPRT's `|1|address|port|`, with any delimiter of the printable ASCII.
///
/// # Errors
/// Those of [`EprtError`].
#[inline(never)]
pub fn parse_eprt(argument: &[u8]) -> Result<Endpoint, EprtError> {
    let Some((delimiter, fields)) = argument.split_first().filter(|(byte, _)| byte.is_ascii_graphic()) else {
        return Err(EprtError::Syntax);
    };
    // Nothing is behind the last delimiter.
    let mut fields = fields.split(|byte| byte == delimiter);
    let mut next = || fields.next();
    let (Some(protocol), Some(address), Some(port), Some(b""), None) = (next(), next(), next(), next(), next()) else {
        return Err(EprtError::Syntax);
    };
    let protocol = match protocol {
        b"1" => 4,
        b"2" => 16,
        digits if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => return Err(EprtError::Protocol),
        _ => return Err(EprtError::Syntax),
    };
    let ip = match protocol {
        4 => parse_v4(address),
        _ => parse_v6(address),
    };
    let port = whole_number(port).and_then(|port| u16::try_from(port).ok()).ok_or(EprtError::Syntax)?;
    Ok(Endpoint { ip: ip.ok_or(EprtError::Syntax)?, port })
}

/// Reads the argument of EPSV.
///
/// # Errors
/// [`EprtError::Protocol`] for another protocol's number, else [`EprtError::Syntax`].
pub fn parse_epsv(argument: &[u8]) -> Result<Epsv, EprtError> {
    match argument {
        b"" => Ok(Epsv::Any),
        b"1" => Ok(Epsv::V4),
        b"2" => Ok(Epsv::V6),
        all if all.eq_ignore_ascii_case(b"ALL") => Ok(Epsv::All),
        digits if digits.iter().all(u8::is_ascii_digit) => Err(EprtError::Protocol),
        _ => Err(EprtError::Syntax),
    }
}

fn parse_v4(text: &[u8]) -> Option<Ip> {
    let mut bytes = [0; 4];
    numbers(text, b'.', &mut bytes)?;
    text.iter().all(u8::is_ascii_graphic).then_some(Ip::V4(bytes))
}

/// Groups of up to four hexadecimal digits with one `::` at most, an IPv4 address in place of the last two, and a zone that is dropped.
fn parse_v6(text: &[u8]) -> Option<Ip> {
    let text = text.split(|&byte| byte == b'%').next()?;
    let mut bytes = [0; 16];
    let mut at = 0;
    let mut gap = None;
    let mut rest = text;
    if let Some(after) = rest.strip_prefix(b"::") {
        gap = Some(0);
        rest = after;
    }
    while !rest.is_empty() {
        if let Some(Ip::V4(four)) = parse_v4(rest) {
            bytes.get_mut(at..at + 4)?.copy_from_slice(&four);
            at += 4;
            break;
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if !(1..=4).contains(&digits) {
            return None;
        }
        let mut group = 0u16;
        for &digit in &rest[..digits] {
            group = group << 4 | (digit as char).to_digit(16)? as u16;
        }
        bytes.get_mut(at..at + 2)?.copy_from_slice(&group.to_be_bytes());
        at += 2;
        rest = &rest[digits..];
        match rest {
            [] => break,
            [b':', b':', after @ ..] if gap.is_none() => {
                gap = Some(at);
                rest = after;
            }
            [b':', after @ ..] if !after.is_empty() && after[0] != b':' => rest = after,
            _ => return None,
        }
    }
    match gap {
        Some(gap) if at < 16 => {
            bytes.copy_within(gap..at, 16 - (at - gap));
            bytes[gap..16 - (at - gap)].fill(0);
        }
        None if at == 16 => {}
        _ => return None,
    }
    Some(Ip::v6(bytes))
}

/// Reads an IPv4 or IPv6 address as people write it; `None` for anything else.
pub fn parse_ip(text: &[u8]) -> Option<Ip> {
    parse_v4(text).or_else(|| parse_v6(text))
}

/// Reads a raw `sockaddr_in` or `sockaddr_in6` as Linux lays them out, which is how the Unix port gives an address.
pub fn from_sockaddr(bytes: &[u8]) -> Option<Endpoint> {
    let (family, rest) = bytes.split_first_chunk()?;
    let (port, rest) = rest.split_first_chunk()?;
    let ip = match u16::from_ne_bytes(*family) {
        2 => Ip::V4(*rest.first_chunk()?),
        // The flow label comes first.
        10 => Ip::v6(*rest.get(4..)?.first_chunk()?),
        _ => return None,
    };
    Some(Endpoint { ip, port: u16::from_be_bytes(*port) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv6Addr;

    const LOCAL: Ip = Ip::V4([127, 0, 0, 1]);

    fn text(ip: Ip) -> String {
        let mut buffer = [0; 48];
        let mut out = Writer::new(&mut buffer);
        ip.write(&mut out);
        String::from_utf8(out.bytes().to_vec()).unwrap()
    }

    #[test]
    fn port() {
        assert_eq!(parse_port(b"127,0,0,1,4,1"), Some(Endpoint { ip: LOCAL, port: 1025 }));
        assert_eq!(parse_port(b"127, 0,0, 1,4,1"), Some(Endpoint { ip: LOCAL, port: 1025 }));
        for bad in ["", "1,2,3,4,5", "1,2,3,4,5,6,7", "256,0,0,1,4,1", "a,b,c,d,e,f", "1,2,3,4,5,6x", "-1,0,0,1,4,1"] {
            assert_eq!(parse_port(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn eprt() {
        assert_eq!(parse_eprt(b"|1|127.0.0.1|1025|"), Ok(Endpoint { ip: LOCAL, port: 1025 }));
        assert_eq!(parse_eprt(b"!2!::1!1025!").unwrap().ip, Ip::V6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
        assert_eq!(parse_eprt(b"|2|::ffff:127.0.0.1|1025|").unwrap().ip, LOCAL);
        assert_eq!(parse_eprt(b"|3|x|1|"), Err(EprtError::Protocol));
        for bad in [
            "",
            "|",
            "|1|127.0.0.1|1025",
            "|1|127.0.0.1|65536|",
            "|1|::1|1|",
            "|2|127.0.0.1x|1|",
            "|1|127.0.0.1|1|x",
            "|x|127.0.0.1|1|",
            "|1|127.0.0.1\t|1|",
            "||||",
        ] {
            assert_eq!(parse_eprt(bad.as_bytes()), Err(EprtError::Syntax), "{bad}");
        }
    }

    #[test]
    fn epsv() {
        assert_eq!(parse_epsv(b""), Ok(Epsv::Any));
        assert_eq!(parse_epsv(b"1"), Ok(Epsv::V4));
        assert_eq!(parse_epsv(b"2"), Ok(Epsv::V6));
        assert_eq!(parse_epsv(b"all"), Ok(Epsv::All));
        assert_eq!(parse_epsv(b"3"), Err(EprtError::Protocol));
        assert_eq!(parse_epsv(b"x"), Err(EprtError::Syntax));
    }

    #[test]
    fn passive() {
        let mut buffer = [0; 32];
        let mut out = Writer::new(&mut buffer);
        write_passive([10, 0, 0, 255], 49152, &mut out);
        assert_eq!(out.bytes(), b"10,0,0,255,192,0");
    }

    #[test]
    fn addresses_of_the_system() {
        let mut raw = 2u16.to_ne_bytes().to_vec();
        raw.extend([0x30, 0x39, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(from_sockaddr(&raw), Some(Endpoint { ip: LOCAL, port: 12345 }));
        let mut raw = 10u16.to_ne_bytes().to_vec();
        raw.extend([0x30, 0x39, 0, 0, 0, 0]);
        raw.extend(Ipv6Addr::LOCALHOST.octets());
        assert_eq!(from_sockaddr(&raw).unwrap().ip, Ip::V6(Ipv6Addr::LOCALHOST.octets()));
        assert_eq!(from_sockaddr(&raw[..20]), None);
        assert_eq!(from_sockaddr(b""), None);
    }

    proptest! {
        #[test]
        fn ipv6_is_read_and_written_as_rust_does(octets in any::<[u16; 8]>(), zeros in any::<u8>()) {
            let mut groups = octets;
            for (index, group) in groups.iter_mut().enumerate() {
                if zeros >> index & 1 == 1 {
                    *group = 0;
                }
            }
            let address = Ipv6Addr::from(groups);
            let ip = parse_ip(address.to_string().as_bytes()).unwrap();
            prop_assert_eq!(ip, Ip::v6(address.octets()));
            if let Ip::V6(_) = ip {
                prop_assume!(address.to_ipv4().is_none());
                prop_assert_eq!(text(ip), address.to_string());
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), likely in "[0-9a-f:.,|% ]{0,40}") {
            for bytes in [&bytes[..], likely.as_bytes()] {
                parse_port(bytes);
                let _ = parse_eprt(bytes);
                let _ = parse_epsv(bytes);
                from_sockaddr(bytes);
                if let Some(ip) = parse_ip(bytes) {
                    prop_assert_eq!(parse_ip(text(ip).as_bytes()), Some(ip));
                }
            }
        }
    }
}
