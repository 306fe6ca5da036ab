/* What FreeBSD, NetBSD and macOS share and Linux does not. */

SIZE(sadb_x_ipsecrequest, 8);
FIELD(sadb_x_ipsecrequest, reqid, 6, 2);

/* A sockaddr begins with its length and its family, in one byte each. */
_Static_assert(offsetof(struct sockaddr, sa_len) == 0, "place of sa_len");
_Static_assert(offsetof(struct sockaddr, sa_family) == 1 && sizeof(sa_family_t) == 1, "place of sa_family");
