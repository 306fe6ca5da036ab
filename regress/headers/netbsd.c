/* NetBSD: net/pfkeyv2.h, netipsec/ipsec.h. */

#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <net/pfkeyv2.h>
#include <netipsec/ipsec.h>

#include "layout.h"
#include "bsd.h"
#include "numbers.h"

FIELD(sadb_x_policy, flags, 7, 1);
FIELD(sadb_x_policy, reserved2, 12, 4);

EXTENSION(sadb_x_nat_t_frag, 8);
FIELD(sadb_x_nat_t_frag, fraglen, 4, 2);
FIELD(sadb_x_nat_t_frag, reserved, 6, 2);

_Static_assert(IP_IPSEC_POLICY == 22 && IPV6_IPSEC_POLICY == 28, "socket options");
_Static_assert(UDP_ENCAP == 100 && UDP_ENCAP_ESPINUDP == 2, "UDP encapsulation");
