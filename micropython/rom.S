@ The part in RAM of a module whose code runs where it lies in a ROMFS: the entry, and a way in for each function that the runtime calls. That code has no words of
@ its own, so each way in sets r9 to the words here, as `native::ffi` reads them. The runtime's own code may use r9, so it gets its value back. When an exception
@ leaves by a long jump, nlr_jump does that.
    .syntax unified
    .thumb
    .text

    .section .text.mpy_init, "ax"
    .global mpy_init
    .thumb_func
@ What the loader runs: the entry of the code in the ROMFS, which is at its start. Code at an address that 4 does not divide cannot run. Then this does nothing, and the
@ shim misses what it would have made.
mpy_init:
    push {r4, r5, r6, lr}
    ldr r4, objects
    @ The last object of the file, and the bytes of it (py/objstr.h).
    ldr r4, [r4, #OBJECTS * 4 - 4]
    ldr r4, [r4, #12]
    lsls r5, r4, #30
    bne 1f
    adds r4, #1
    b enter
1:  movs r0, #0
    pop {r4, r5, r6, pc}

@ A way in comes here by `bl`, with its target's address behind that.
way:
    mov r4, lr
    adds r4, #1
    ldr r4, [r4]
enter:
    mov r5, r9
    adr r6, words
    mov r9, r6
    blx r4
    mov r9, r5
    pop {r4, r5, r6, pc}

    .balign 4
words:
    .word mp_fun_table
    .word mp_qstr_table
objects:
    .word mp_obj_table
    .word ways
    .word end
ways:
    .rept WAYS
    push {r4, r5, r6, lr}
    bl way
    nop
    .word 0
    .endr
end:
