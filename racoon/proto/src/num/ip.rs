//! Protocol numbers of IP.

use super::numbers;

numbers! {
    /// Protocol number of IP (assigned by IANA). The names are those of setkey(8).
    IpProtocol: u8 {
        /// Any protocol.
        ANY = 0, "any";
        /// ICMP.
        ICMP = 1, "icmp";
        /// IGMP.
        IGMP = 2, "igmp";
        /// IPv4 in IP.
        IPV4 = 4, "ipv4";
        /// TCP.
        TCP = 6, "tcp";
        /// UDP.
        UDP = 17, "udp";
        /// IPv6 in IP.
        IPV6 = 41, "ipv6";
        /// GRE.
        GRE = 47, "gre";
        /// ESP.
        ESP = 50, "esp";
        /// AH.
        AH = 51, "ah";
        /// ICMP of IPv6.
        ICMP6 = 58, "icmp6";
        /// OSPF.
        OSPF = 89, "ospf";
        /// L2TP.
        L2TP = 115, "l2tp";
        /// SCTP.
        SCTP = 132, "sctp";
        /// Mobility header of IPv6.
        MOBILITY = 135, "mh";
    }
}
