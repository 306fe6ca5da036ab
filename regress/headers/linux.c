/* Linux: linux/pfkeyv2.h. */

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <linux/ipsec.h>
#include <linux/pfkeyv2.h>

#include "layout.h"
#include "numbers.h"

FIELD(sadb_x_policy, reserved, 7, 1);
FIELD(sadb_x_policy, priority, 12, 4);

SIZE(sadb_x_ipsecrequest, 16);
FIELD(sadb_x_ipsecrequest, reserved1, 6, 2);
FIELD(sadb_x_ipsecrequest, reqid, 8, 4);
FIELD(sadb_x_ipsecrequest, reserved2, 12, 4);

EXTENSION(sadb_x_kmaddress, 8);
FIELD(sadb_x_kmaddress, reserved, 4, 4);

EXTENSION(sadb_x_filter, 40);
FIELD(sadb_x_filter, saddr, 4, 16);
FIELD(sadb_x_filter, daddr, 20, 16);
FIELD(sadb_x_filter, family, 36, 2);
FIELD(sadb_x_filter, splen, 38, 1);
FIELD(sadb_x_filter, dplen, 39, 1);

/* The prefix of these fields differs from the name of the structure. */
SIZE(sadb_x_sec_ctx, 8);
_Static_assert(offsetof(struct sadb_x_sec_ctx, sadb_x_ctx_alg) == 4, "offset of the algorithm of a security context");
_Static_assert(offsetof(struct sadb_x_sec_ctx, sadb_x_ctx_doi) == 5, "offset of the domain of a security context");
_Static_assert(offsetof(struct sadb_x_sec_ctx, sadb_x_ctx_len) == 6, "offset of the length of a security context");

/* A sockaddr starts with its family, in two bytes. */
_Static_assert(offsetof(struct sockaddr, sa_family) == 0 && sizeof(sa_family_t) == 2, "offset of sa_family");
_Static_assert(IP_IPSEC_POLICY == 16 && IPV6_IPSEC_POLICY == 34, "socket options");
_Static_assert(UDP_ENCAP == 100 && UDP_ENCAP_ESPINUDP == 2, "UDP encapsulation");
