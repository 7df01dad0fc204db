// The standard variant, but with the poller of boards: it asks each stream by `ioctl`, and does not leave sockets to the system. So what a session does within
// the poller is tested while allocations fail.
#include "variants/standard/mpconfigvariant.h"

#undef MICROPY_PY_SELECT_POSIX_OPTIMISATIONS
#define MICROPY_PY_SELECT_POSIX_OPTIMISATIONS (0)
