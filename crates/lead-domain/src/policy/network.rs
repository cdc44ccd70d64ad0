//! Ranges of internet addresses, as `203.0.113.0/24` and `2001:db8::/32`. Resolves no names.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    /// The first address: every bit behind the prefix is 0.
    first: IpAddr,
    /// How many bits the prefix has.
    bits: u8,
}

impl Network {
    /// The network of an address that has so many bits in its prefix; `None` for more bits than addresses have.
    #[must_use]
    pub fn of(address: IpAddr, bits: u8) -> Option<Self> {
        (bits <= width(address)).then(|| Self { first: first_of(address, bits), bits })
    }

    /// The network of a single address.
    #[must_use]
    pub fn single(address: IpAddr) -> Self {
        Self { first: address, bits: width(address) }
    }

    /// Its first address.
    #[must_use]
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// Whether the address is one of it. An IPv4 address that is written as one of IPv6 counts as what it is.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && first_of(address, self.bits) == self.first
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with 0 for every bit behind the prefix.
fn first_of(address: IpAddr, bits: u8) -> IpAddr {
    let behind = u32::from(width(address).saturating_sub(bits));
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(behind).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_what_begins_like_it() {
        let cases = [
            ("203.0.113.0", 24, "203.0.113.255", true),
            ("203.0.113.0", 24, "203.0.114.0", false),
            ("203.0.113.0", 24, "::ffff:203.0.113.9", true),
            ("203.0.113.7", 32, "203.0.113.7", true),
            ("203.0.113.7", 32, "203.0.113.6", false),
            ("0.0.0.0", 0, "255.1.2.3", true),
            ("0.0.0.0", 0, "2001:db8::1", false),
            ("2001:db8::", 32, "2001:db8:ffff::1", true),
            ("2001:db8::", 32, "2001:db9::1", false),
            ("::", 0, "2001:db9::1", true),
            ("::", 0, "1.2.3.4", false),
        ];
        for (first, bits, address, expected) in cases {
            let network = Network::of(ip(first), bits).unwrap();
            assert_eq!(network.holds(ip(address)), expected, "{network} {address}");
        }
        assert_eq!(Network::of(ip("1.2.3.4"), 33), None);
        assert_eq!(Network::of(ip("203.0.113.9"), 24).unwrap().to_string(), "203.0.113.0/24");
        assert_eq!(Network::single(ip("2001:db8::1")).to_string(), "2001:db8::1/128");
    }
}
