/* Layout of the PF_KEY structures common to all systems, which libpfkey encodes and decodes. */

#include <stddef.h>

#define SIZE(name, size) _Static_assert(sizeof(struct name) == (size), "size of " #name)
#define FIELD(name, field, offset, width)                                           \
	_Static_assert(offsetof(struct name, name##_##field) == (offset) &&         \
	               sizeof(((struct name *)0)->name##_##field) == (width),       \
	               "offset of " #name "_" #field)
/* Every extension starts with its length in 64-bit words and its type. */
#define EXTENSION(name, size)                                                       \
	SIZE(name, size);                                                           \
	FIELD(name, len, 0, 2);                                                     \
	FIELD(name, exttype, 2, 2)

SIZE(sadb_msg, 16);
FIELD(sadb_msg, version, 0, 1);
FIELD(sadb_msg, type, 1, 1);
FIELD(sadb_msg, errno, 2, 1);
FIELD(sadb_msg, satype, 3, 1);
FIELD(sadb_msg, len, 4, 2);
FIELD(sadb_msg, reserved, 6, 2);
FIELD(sadb_msg, seq, 8, 4);
FIELD(sadb_msg, pid, 12, 4);

SIZE(sadb_ext, 4);
FIELD(sadb_ext, len, 0, 2);
FIELD(sadb_ext, type, 2, 2);

EXTENSION(sadb_sa, 16);
FIELD(sadb_sa, spi, 4, 4);
FIELD(sadb_sa, replay, 8, 1);
FIELD(sadb_sa, state, 9, 1);
FIELD(sadb_sa, auth, 10, 1);
FIELD(sadb_sa, encrypt, 11, 1);
FIELD(sadb_sa, flags, 12, 4);

EXTENSION(sadb_lifetime, 32);
FIELD(sadb_lifetime, allocations, 4, 4);
FIELD(sadb_lifetime, bytes, 8, 8);
FIELD(sadb_lifetime, addtime, 16, 8);
FIELD(sadb_lifetime, usetime, 24, 8);

EXTENSION(sadb_address, 8);
FIELD(sadb_address, proto, 4, 1);
FIELD(sadb_address, prefixlen, 5, 1);
FIELD(sadb_address, reserved, 6, 2);

EXTENSION(sadb_key, 8);
FIELD(sadb_key, bits, 4, 2);
FIELD(sadb_key, reserved, 6, 2);

EXTENSION(sadb_ident, 16);
FIELD(sadb_ident, type, 4, 2);
FIELD(sadb_ident, reserved, 6, 2);
FIELD(sadb_ident, id, 8, 8);

EXTENSION(sadb_sens, 16);
FIELD(sadb_sens, dpd, 4, 4);
FIELD(sadb_sens, sens_level, 8, 1);
FIELD(sadb_sens, sens_len, 9, 1);
FIELD(sadb_sens, integ_level, 10, 1);
FIELD(sadb_sens, integ_len, 11, 1);
FIELD(sadb_sens, reserved, 12, 4);

EXTENSION(sadb_prop, 8);
FIELD(sadb_prop, replay, 4, 1);
FIELD(sadb_prop, reserved, 5, 3);

SIZE(sadb_comb, 72);
FIELD(sadb_comb, auth, 0, 1);
FIELD(sadb_comb, encrypt, 1, 1);
FIELD(sadb_comb, flags, 2, 2);
FIELD(sadb_comb, auth_minbits, 4, 2);
FIELD(sadb_comb, auth_maxbits, 6, 2);
FIELD(sadb_comb, encrypt_minbits, 8, 2);
FIELD(sadb_comb, encrypt_maxbits, 10, 2);
FIELD(sadb_comb, reserved, 12, 4);
FIELD(sadb_comb, soft_allocations, 16, 4);
FIELD(sadb_comb, hard_allocations, 20, 4);
FIELD(sadb_comb, soft_bytes, 24, 8);
FIELD(sadb_comb, hard_bytes, 32, 8);
FIELD(sadb_comb, soft_addtime, 40, 8);
FIELD(sadb_comb, hard_addtime, 48, 8);
FIELD(sadb_comb, soft_usetime, 56, 8);
FIELD(sadb_comb, hard_usetime, 64, 8);

EXTENSION(sadb_supported, 8);
FIELD(sadb_supported, reserved, 4, 4);

SIZE(sadb_alg, 8);
FIELD(sadb_alg, id, 0, 1);
FIELD(sadb_alg, ivlen, 1, 1);
FIELD(sadb_alg, minbits, 2, 2);
FIELD(sadb_alg, maxbits, 4, 2);
FIELD(sadb_alg, reserved, 6, 2);

EXTENSION(sadb_spirange, 16);
FIELD(sadb_spirange, min, 4, 4);
FIELD(sadb_spirange, max, 8, 4);
FIELD(sadb_spirange, reserved, 12, 4);

EXTENSION(sadb_x_kmprivate, 8);
FIELD(sadb_x_kmprivate, reserved, 4, 4);

EXTENSION(sadb_x_sa2, 16);
FIELD(sadb_x_sa2, mode, 4, 1);
FIELD(sadb_x_sa2, reserved1, 5, 1);
FIELD(sadb_x_sa2, reserved2, 6, 2);
FIELD(sadb_x_sa2, sequence, 8, 4);
FIELD(sadb_x_sa2, reqid, 12, 4);

EXTENSION(sadb_x_policy, 16);
FIELD(sadb_x_policy, type, 4, 2);
FIELD(sadb_x_policy, dir, 6, 1);
FIELD(sadb_x_policy, id, 8, 4);

FIELD(sadb_x_ipsecrequest, len, 0, 2);
FIELD(sadb_x_ipsecrequest, proto, 2, 2);
FIELD(sadb_x_ipsecrequest, mode, 4, 1);
FIELD(sadb_x_ipsecrequest, level, 5, 1);

_Static_assert(sizeof(struct sockaddr_in) == 16, "size of sockaddr_in");
_Static_assert(sizeof(struct sockaddr_in6) == 28, "size of sockaddr_in6");

/* NAT traversal, on systems that have extensions for it. */
#ifdef SADB_X_EXT_NAT_T_TYPE
EXTENSION(sadb_x_nat_t_type, 8);
FIELD(sadb_x_nat_t_type, type, 4, 1);
FIELD(sadb_x_nat_t_type, reserved, 5, 3);
EXTENSION(sadb_x_nat_t_port, 8);
FIELD(sadb_x_nat_t_port, port, 4, 2);
FIELD(sadb_x_nat_t_port, reserved, 6, 2);
#endif
