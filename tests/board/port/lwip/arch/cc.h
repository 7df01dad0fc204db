// What lwIP wants to know of the compiler.
#ifndef ARCH_CC_H
#define ARCH_CC_H

#include <stdlib.h>
#include "board.h"

#define LWIP_PLATFORM_DIAG(text)
#define LWIP_PLATFORM_ASSERT(text) leave(5)
#define LWIP_NO_CTYPE_H 1

#endif
