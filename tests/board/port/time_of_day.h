// Part of extmod/modtime.c: the time of day.
#include "py/obj.h"
#include "shared/timeutils/timeutils.h"

static mp_obj_t mp_time_time_get(void) {
    return mp_obj_new_int_from_ull(mp_hal_time_ns() / 1000000000);
}

static mp_obj_t mp_time_localtime_get(void) {
    timeutils_struct_time_t now;
    timeutils_seconds_since_epoch_to_struct_time(mp_hal_time_ns() / 1000000000, &now);
    const int numbers[] = {
        now.tm_year, now.tm_mon, now.tm_mday, now.tm_hour, now.tm_min, now.tm_sec, now.tm_wday, now.tm_yday,
    };
    mp_obj_t items[MP_ARRAY_SIZE(numbers)];
    for (size_t i = 0; i < MP_ARRAY_SIZE(numbers); ++i) {
        items[i] = MP_OBJ_NEW_SMALL_INT(numbers[i]);
    }
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
