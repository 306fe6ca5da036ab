/* macOS: net/pfkeyv2.h. The header with its policy constants is not installed. */

#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <net/pfkeyv2.h>

#include "layout.h"
#include "bsd.h"
#include "numbers.h"

FIELD(sadb_x_policy, reserved, 7, 1);
FIELD(sadb_x_policy, reserved2, 12, 4);

EXTENSION(sadb_session_id, 24);
FIELD(sadb_session_id, v, 8, 16);

EXTENSION(sadb_sastat, 16);
FIELD(sadb_sastat, dir, 4, 4);
FIELD(sadb_sastat, reserved, 8, 4);
FIELD(sadb_sastat, list_len, 12, 4);

_Static_assert(IP_IPSEC_POLICY == 21 && IPV6_IPSEC_POLICY == 28, "socket options");
