/* FreeBSD: net/pfkeyv2.h, netipsec/ipsec.h. */

#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <net/pfkeyv2.h>
#include <netipsec/ipsec.h>

#include "layout.h"
#include "bsd.h"
#include "numbers.h"

FIELD(sadb_x_policy, scope, 7, 1);
FIELD(sadb_x_policy, priority, 12, 4);

EXTENSION(sadb_x_nat_t_frag, 8);
FIELD(sadb_x_nat_t_frag, fraglen, 4, 2);
FIELD(sadb_x_nat_t_frag, reserved, 6, 2);

EXTENSION(sadb_x_sa_replay, 8);
FIELD(sadb_x_sa_replay, replay, 4, 4);

EXTENSION(sadb_x_if_hw_offl, 40);
FIELD(sadb_x_if_hw_offl, flags, 4, 4);
FIELD(sadb_x_if_hw_offl, if, 8, 32);

_Static_assert(IP_IPSEC_POLICY == 21 && IPV6_IPSEC_POLICY == 28, "socket options");
_Static_assert(UDP_ENCAP == 1 && UDP_ENCAP_ESPINUDP == 2, "UDP encapsulation");
