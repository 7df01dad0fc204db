// network.LAN with the methods of STM32 boards.
#include "py/runtime.h"
#include "py/mphal.h"
#include "extmod/modnetwork.h"
#include "lwip/netif.h"
#include "board.h"

static const mp_obj_base_t the_lan = { &network_lan_type };

static mp_obj_t make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    return MP_OBJ_FROM_PTR(&the_lan);
}

static mp_obj_t lan_active(size_t n_args, const mp_obj_t *args) {
    if (n_args == 1) {
        return mp_obj_new_bool(netif_is_up(&ethernet));
    }
    uint32_t before = lwip_lock();
    if (mp_obj_is_true(args[1])) {
        netif_set_up(&ethernet);
        netif_set_link_up(&ethernet);
        #if LWIP_IPV6
        netif_create_ip6_linklocal_address(&ethernet, 1);
        #endif
    } else {
        netif_set_link_down(&ethernet);
        netif_set_down(&ethernet);
    }
    lwip_unlock(before);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(lan_active_obj, 1, 2, lan_active);

static mp_obj_t lan_isconnected(mp_obj_t self) {
    return mp_obj_new_bool(netif_is_up(&ethernet) && !ip4_addr_isany(netif_ip4_addr(&ethernet)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(lan_isconnected_obj, lan_isconnected);

static mp_obj_t lan_ifconfig(size_t n_args, const mp_obj_t *args) {
    return mod_network_nic_ifconfig(&ethernet, n_args - 1, args + 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(lan_ifconfig_obj, 1, 2, lan_ifconfig);

static mp_obj_t lan_ipconfig(size_t n_args, const mp_obj_t *args, mp_map_t *named) {
    return mod_network_nic_ipconfig(&ethernet, n_args - 1, args + 1, named);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(lan_ipconfig_obj, 1, lan_ipconfig);

static const mp_rom_map_elem_t lan_members_table[] = {
    { MP_ROM_QSTR(MP_QSTR_active), MP_ROM_PTR(&lan_active_obj) },
    { MP_ROM_QSTR(MP_QSTR_isconnected), MP_ROM_PTR(&lan_isconnected_obj) },
    { MP_ROM_QSTR(MP_QSTR_ifconfig), MP_ROM_PTR(&lan_ifconfig_obj) },
    { MP_ROM_QSTR(MP_QSTR_ipconfig), MP_ROM_PTR(&lan_ipconfig_obj) },
};
static MP_DEFINE_CONST_DICT(lan_members, lan_members_table);

MP_DEFINE_CONST_OBJ_TYPE(
    network_lan_type, MP_QSTR_LAN, MP_TYPE_FLAG_NONE, make_new, make_new, locals_dict, &lan_members);
