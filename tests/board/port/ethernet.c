// lwIP's network interface for the Ethernet controller SMSC LAN9118 of QEMU.
#include <string.h>
#include "py/mphal.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "extmod/modnetwork.h"
#include "board.h"

#define CHIP(offset) REGISTER(ETHERNET_BASE + (offset))
#define RECEIVED_DATA CHIP(0x00)
#define SENT_DATA CHIP(0x20)
#define RECEIVED_STATUS CHIP(0x40)
#define SENT_STATUS CHIP(0x48)
#define INTERRUPT_SETUP CHIP(0x54)
#define INTERRUPT_STATUS CHIP(0x58)
#define INTERRUPT_MASK CHIP(0x5c)
#define FIFO_LEVELS CHIP(0x68)
#define RECEIVE_SETUP CHIP(0x6c)
#define SEND_SETUP CHIP(0x70)
#define HARDWARE_SETUP CHIP(0x74)
#define RECEIVED_COUNTS CHIP(0x7c)
#define SEND_ROOM CHIP(0x80)
#define MAC_COMMAND CHIP(0xa4)
#define MAC_DATA CHIP(0xa8)

#define MAC_BUSY (1u << 31)
#define MAC_READ (1u << 30)
#define FRAME_RECEIVED (1u << 3)
#define FRAME_BAD (1u << 15)
#define CHECKSUM_BYTES 4

// The registers behind MAC_COMMAND.
enum { MAC_CONTROL = 1, MAC_ADDRESS_HIGH = 2, MAC_ADDRESS_LOW = 3 };

struct netif ethernet;

static uint32_t mac(uint32_t command) {
    MAC_COMMAND = MAC_BUSY | command;
    while (MAC_COMMAND & MAC_BUSY) {
    }
    return MAC_DATA;
}

// Sends a frame. It is a chain of pieces of any length. The controller wants two command words and then the frame in words.
static err_t send_frame(struct netif *netif, struct pbuf *frame) {
    if ((SEND_ROOM & 0xffff) < frame->tot_len + 16u) {
        return ERR_MEM;
    }
    SENT_DATA = 1u << 13 | 1u << 12 | frame->tot_len; // the first and the last piece of a frame
    SENT_DATA = (uint32_t)frame->tot_len << 16 | frame->tot_len;
    uint32_t word = 0;
    unsigned shift = 0;
    for (struct pbuf *piece = frame; piece; piece = piece->next) {
        const uint8_t *bytes = piece->payload;
        for (size_t i = 0; i < piece->len; ++i) {
            word |= (uint32_t)bytes[i] << shift;
            shift = (shift + 8) % 32;
            if (shift == 0) {
                SENT_DATA = word;
                word = 0;
            }
        }
    }
    if (shift) {
        SENT_DATA = word;
    }
    // Take the statuses out, because their queue would fill up.
    while (SEND_ROOM >> 16 & 0xff) {
        (void)SENT_STATUS;
    }
    return ERR_OK;
}

// Takes one frame out of the controller. NULL if there is no memory for it, or if it is damaged.
static struct pbuf *take_frame(void) {
    uint32_t status = RECEIVED_STATUS;
    size_t whole = status >> 16 & 0x3fff;
    size_t length = whole > CHECKSUM_BYTES ? whole - CHECKSUM_BYTES : 0;
    struct pbuf *frame = length == 0 || status & FRAME_BAD ? NULL : pbuf_alloc(PBUF_RAW, length, PBUF_POOL);
    for (size_t at = 0; at < whole; at += 4) {
        uint32_t word = RECEIVED_DATA;
        if (frame && at < length) {
            pbuf_take_at(frame, &word, LWIP_MIN(4, length - at), at);
        }
    }
    return frame;
}

// Gives lwIP the received frames. Runs in PendSV.
void ethernet_receive(void) {
    while (RECEIVED_COUNTS >> 16 & 0xff) {
        struct pbuf *frame = take_frame();
        if (frame && ethernet.input(frame, &ethernet) != ERR_OK) {
            pbuf_free(frame);
        }
    }
    INTERRUPT_STATUS = FRAME_RECEIVED;
    INTERRUPT_MASK = FRAME_RECEIVED;
}

void on_ethernet(void) {
    // No more of these interrupts until ethernet_receive() has run.
    INTERRUPT_MASK = 0;
    clock_called();
    lwip_wake();
}

static err_t set_up(struct netif *netif) {
    memcpy(netif->name, "en", 2);
    netif->mtu = 1500;
    netif->hwaddr_len = 6;
    uint32_t low = mac(MAC_READ | MAC_ADDRESS_LOW), high = mac(MAC_READ | MAC_ADDRESS_HIGH);
    memcpy(netif->hwaddr, &low, 4);
    memcpy(netif->hwaddr + 4, &high, 2);
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP;
    #if LWIP_IPV6
    netif->flags |= NETIF_FLAG_MLD6;
    netif->output_ip6 = ethip6_output;
    #endif
    netif->output = etharp_output;
    netif->linkoutput = send_frame;
    return ERR_OK;
}

// Starts the controller. The interface has no address yet and is down.
void ethernet_start(void) {
    HARDWARE_SETUP = 1; // reset
    HARDWARE_SETUP = 1u << 20 | 5u << 16; // 5 KiB for frames to send
    RECEIVE_SETUP = 0;
    SEND_SETUP = 2; // on
    FIFO_LEVELS = 0; // an interrupt for each frame
    INTERRUPT_SETUP = 1u << 8 | 1u << 4 | 1u << 0; // on, high, driven
    uint32_t before = lwip_lock();
    netif_add(&ethernet, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4, NULL, set_up, netif_input);
    netif_set_hostname(&ethernet, mod_network_hostname_data);
    netif_set_default(&ethernet);
    lwip_unlock(before);
    MAC_DATA = 1u << 20 | 1u << 19 | 1u << 3 | 1u << 2; // full duplex, all multicast, transmitter, receiver
    mac(MAC_CONTROL);
    INTERRUPT_MASK = FRAME_RECEIVED;
    INTERRUPT_ENABLE = 1u << ETHERNET_INTERRUPT;
}
