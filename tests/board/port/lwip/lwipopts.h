// lwIP with the limits of real boards: MicroPython's common options, and the options of the Pico W (with IPv6) or of STM32 boards.
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#include "board.h"

#define LWIP_NETIF_EXT_STATUS_CALLBACK 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_IPV4 1
#define LWIP_IPV6 BOARD_IPV6
#define LWIP_ND6_NUM_DESTINATIONS 4
#define LWIP_ND6_QUEUEING 0
#define LWIP_LOOPIF_MULTICAST 1
#define LWIP_LOOPBACK_MAX_PBUFS 8
#define LWIP_RAND() board_random()

#include "extmod/lwip-include/lwipopts_common.h"

// The limits that the server must live with. They are those of the common options and of lwIP; here they are said once more,
// so that another MicroPython or lwIP does not change them unseen.
// TCP connections at the same time; listening sockets are not among them.
#undef MEMP_NUM_TCP_PCB
#define MEMP_NUM_TCP_PCB 5
// Bytes in a segment.
#undef TCP_MSS
#define TCP_MSS 800
// Bytes that may be on their way to the board, and from it: 6,400.
#undef TCP_WND
#define TCP_WND (8 * TCP_MSS)
#undef TCP_SND_BUF
#define TCP_SND_BUF (8 * TCP_MSS)
// Bytes that all connections together have for what they send.
#undef MEM_SIZE
#define MEM_SIZE 8000

// Only for the test to count what is in use. Nothing behaves in another way.
#undef LWIP_STATS
#define LWIP_STATS 1
#define MEM_STATS 1
#define MEMP_STATS 1

#endif
