//! Numbers of the data attributes of phase 1, phase 2 and mode configuration.

use super::numbers;

numbers! {
    /// Attribute of a phase 1 transform (RFC 2409 Appendix A).
    Phase1Attribute: u16 {
        /// Encryption Algorithm.
        ENCRYPTION_ALGORITHM = 1, "Encryption Algorithm";
        /// Hash Algorithm.
        HASH_ALGORITHM = 2, "Hash Algorithm";
        /// Authentication Method.
        AUTHENTICATION_METHOD = 3, "Authentication Method";
        /// Group Description.
        GROUP_DESCRIPTION = 4, "Group Description";
        /// Group Type: 1 MODP, 2 ECP, 3 EC2N.
        GROUP_TYPE = 5, "Group Type";
        /// Prime or irreducible polynomial of a private group.
        GROUP_PRIME = 6, "Group Prime";
        /// First generator of a private group.
        GROUP_GENERATOR_ONE = 7, "Group Generator One";
        /// Second generator of a private group.
        GROUP_GENERATOR_TWO = 8, "Group Generator Two";
        /// Curve A of a private group.
        GROUP_CURVE_A = 9, "Group Curve A";
        /// Curve B of a private group.
        GROUP_CURVE_B = 10, "Group Curve B";
        /// Life Type: the unit of the Life Duration that follows.
        LIFE_TYPE = 11, "Life Type";
        /// Life Duration.
        LIFE_DURATION = 12, "Life Duration";
        /// PRF; RFC 2409 defines no value.
        PRF = 13, "PRF";
        /// Key Length in bits.
        KEY_LENGTH = 14, "Key Length";
        /// Field size of a private group.
        FIELD_SIZE = 15, "Field Size";
        /// Order of a private group.
        GROUP_ORDER = 16, "Group Order";
        /// Name of the endpoint, for authentication with GSS-API.
        GSS_ID = 16384, "GSS Identity Name";
    }
}

numbers! {
    /// Attribute of a phase 2 transform (RFC 2407 section 4.5; ESN: RFC 4304 section 2).
    Phase2Attribute: u16 {
        /// SA Life Type: the unit of the SA Life Duration that follows.
        LIFE_TYPE = 1, "SA Life Type";
        /// SA Life Duration.
        LIFE_DURATION = 2, "SA Life Duration";
        /// Group Description: perfect forward secrecy.
        GROUP_DESCRIPTION = 3, "Group Description";
        /// Encapsulation Mode.
        ENCAPSULATION_MODE = 4, "Encapsulation Mode";
        /// Authentication Algorithm.
        AUTHENTICATION_ALGORITHM = 5, "Authentication Algorithm";
        /// Key Length in bits.
        KEY_LENGTH = 6, "Key Length";
        /// Key Rounds.
        KEY_ROUNDS = 7, "Key Rounds";
        /// Compress Dictionary Size.
        COMPRESS_DICTIONARY_SIZE = 8, "Compress Dictionary Size";
        /// Compress Private Algorithm.
        COMPRESS_PRIVATE_ALGORITHM = 9, "Compress Private Algorithm";
        /// ECN Tunnel.
        ECN_TUNNEL = 10, "ECN Tunnel";
        /// Extended (64-bit) Sequence Number.
        EXTENDED_SEQUENCE_NUMBER = 11, "Extended Sequence Number";
    }
}

numbers! {
    /// Unit of a lifetime; phase 1 (RFC 2409 Appendix A) and phase 2 (RFC 2407 section 4.5) have the same numbers.
    LifeType: u16 {
        /// Seconds.
        SECONDS = 1, "seconds";
        /// Kilobytes.
        KILOBYTES = 2, "kilobytes";
    }
}

numbers! {
    /// Type of an Attributes payload (draft-dukes-ike-mode-cfg).
    ConfigType: u8 {
        /// Requests values.
        REQUEST = 1, "REQUEST";
        /// Answers a request.
        REPLY = 2, "REPLY";
        /// Gives values without a request.
        SET = 3, "SET";
        /// Acknowledges a `SET`.
        ACK = 4, "ACK";
    }
}

numbers! {
    /// Attribute of an Attributes payload (draft-dukes-ike-mode-cfg, draft-beaulieu-ike-xauth, Cisco's Unity).
    ConfigAttribute: u16 {
        /// An address for the client.
        INTERNAL_IP4_ADDRESS = 1, "INTERNAL_IP4_ADDRESS";
        /// The network mask of that address.
        INTERNAL_IP4_NETMASK = 2, "INTERNAL_IP4_NETMASK";
        /// A DNS server.
        INTERNAL_IP4_DNS = 3, "INTERNAL_IP4_DNS";
        /// A NetBIOS name server.
        INTERNAL_IP4_NBNS = 4, "INTERNAL_IP4_NBNS";
        /// Seconds for which the client may use the address.
        INTERNAL_ADDRESS_EXPIRY = 5, "INTERNAL_ADDRESS_EXPIRY";
        /// A DHCP server.
        INTERNAL_IP4_DHCP = 6, "INTERNAL_IP4_DHCP";
        /// Name and version of the program.
        APPLICATION_VERSION = 7, "APPLICATION_VERSION";
        /// A network behind the server.
        INTERNAL_IP4_SUBNET = 13, "INTERNAL_IP4_SUBNET";
        /// XAUTH: the kind of login.
        XAUTH_TYPE = 16520, "XAUTH_TYPE";
        /// XAUTH: the user.
        XAUTH_USER_NAME = 16521, "XAUTH_USER_NAME";
        /// XAUTH: the password.
        XAUTH_USER_PASSWORD = 16522, "XAUTH_USER_PASSWORD";
        /// XAUTH: a passcode.
        XAUTH_PASSCODE = 16523, "XAUTH_PASSCODE";
        /// XAUTH: a text for the user.
        XAUTH_MESSAGE = 16524, "XAUTH_MESSAGE";
        /// XAUTH: a challenge.
        XAUTH_CHALLENGE = 16525, "XAUTH_CHALLENGE";
        /// XAUTH: the domain of the login.
        XAUTH_DOMAIN = 16526, "XAUTH_DOMAIN";
        /// XAUTH: 1 if the login succeeded.
        XAUTH_STATUS = 16527, "XAUTH_STATUS";
        /// XAUTH: the next PIN.
        XAUTH_NEXT_PIN = 16528, "XAUTH_NEXT_PIN";
        /// XAUTH: an answer to a question.
        XAUTH_ANSWER = 16529, "XAUTH_ANSWER";
        /// Unity: a text to show.
        UNITY_BANNER = 28672, "UNITY_BANNER";
        /// Unity: the client may store the password.
        UNITY_SAVE_PASSWD = 28673, "UNITY_SAVE_PASSWD";
        /// Unity: the domain to search names in.
        UNITY_DEF_DOMAIN = 28674, "UNITY_DEF_DOMAIN";
        /// Unity: domains to resolve by the DNS servers of the tunnel.
        UNITY_SPLITDNS_NAME = 28675, "UNITY_SPLITDNS_NAME";
        /// Unity: networks to reach through the tunnel.
        UNITY_SPLIT_INCLUDE = 28676, "UNITY_SPLIT_INCLUDE";
        /// Unity: a port for NAT traversal.
        UNITY_NATT_PORT = 28677, "UNITY_NATT_PORT";
        /// Unity: networks to reach without the tunnel.
        UNITY_LOCAL_LAN = 28678, "UNITY_LOCAL_LAN";
        /// Unity: the group for perfect forward secrecy.
        UNITY_PFS = 28679, "UNITY_PFS";
        /// Unity: the firewall that the client must run.
        UNITY_FW_TYPE = 28680, "UNITY_FW_TYPE";
        /// Unity: other servers.
        UNITY_BACKUP_SERVERS = 28681, "UNITY_BACKUP_SERVERS";
        /// Unity: the client's host name.
        UNITY_DDNS_HOSTNAME = 28682, "UNITY_DDNS_HOSTNAME";
    }
}
