// What lwIP wants to know of the compiler.
#ifndef ARCH_CC_H
#define ARCH_CC_H

#include <stdlib.h>

#define LWIP_PLATFORM_DIAG(text)
// As on boards a failed assertion changes nothing: modlwip fails one whenever it closes a listening socket.
#define LWIP_PLATFORM_ASSERT(text)
#define LWIP_NO_CTYPE_H 1

#endif
