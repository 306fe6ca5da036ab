/* What FreeBSD, NetBSD and macOS have in common, unlike Linux. */

SIZE(sadb_x_ipsecrequest, 8);
FIELD(sadb_x_ipsecrequest, reqid, 6, 2);

/* A sockaddr starts with its length and its family, in one byte each. */
_Static_assert(offsetof(struct sockaddr, sa_len) == 0, "offset of sa_len");
_Static_assert(offsetof(struct sockaddr, sa_family) == 1 && sizeof(sa_family_t) == 1, "offset of sa_family");
