# What C cannot say of the test's loader: its start, system calls, and setjmp of the windowed ABI.
	.text
	.global	mpy_init
	.p2align	2
	.literal_position
	.literal .Lmain, loader_main
mpy_init:
	movi	a0, 0
	srli	a1, a1, 4
	slli	a1, a1, 4
	addi	a1, a1, -128
	# Where this frame's registers go when their window is needed: below what stands for its caller's stack pointer.
	addi	a3, a1, 64
	addi	a2, a1, -12
	s32i	a3, a2, 0
	l32r	a8, .Lmain
	callx8	a8
	ill

# long system_call(number, a, b, c): Linux wants the number in a2 and the arguments in a6, a3, a4.
	.global	system_call
	.p2align	2
system_call:
	entry	a1, 32
	or	a6, a3, a3
	or	a3, a4, a4
	or	a4, a5, a5
	syscall
	retw

# Calls itself until every other window has gone to the stack: not more than 64 registers, 8 a call.
	.p2align	2
.Lspill:
	entry	a1, 32
	beqz	a2, .Lspilled
	addi	a10, a2, -1
	call8	.Lspill
.Lspilled:
	retw

# int set_jump(long *buffer): keeps what the caller's frame has in its save areas, the return address and the stack pointer.
	.global	set_jump
	.p2align	2
set_jump:
	entry	a1, 32
	movi	a10, 10
	call8	.Lspill
	# The caller's a0 to a3.
	addi	a5, a1, -16
	l32i	a3, a5, 0
	s32i	a3, a2, 0
	l32i	a3, a5, 4
	s32i	a3, a2, 4
	l32i	a3, a5, 8
	s32i	a3, a2, 8
	l32i	a3, a5, 12
	s32i	a3, a2, 12
	# Its a4 to a7, below the stack pointer of its own caller, which is in the save area below its own.
	l32i	a5, a5, 4
	addi	a5, a5, -12
	l32i	a5, a5, 0
	addi	a5, a5, -32
	s32i	a5, a2, 40
	l32i	a3, a5, 0
	s32i	a3, a2, 16
	l32i	a3, a5, 4
	s32i	a3, a2, 20
	l32i	a3, a5, 8
	s32i	a3, a2, 24
	l32i	a3, a5, 12
	s32i	a3, a2, 28
	s32i	a0, a2, 32
	s32i	a1, a2, 36
	movi	a2, 0
	retw

# void long_jump(long *buffer): set_jump returns 1.
	.global	long_jump
	.p2align	2
long_jump:
	entry	a1, 32
	movi	a10, 10
	call8	.Lspill
	l32i	a0, a2, 32
	l32i	a1, a2, 36
	addi	a5, a1, -16
	l32i	a3, a2, 0
	s32i	a3, a5, 0
	l32i	a3, a2, 4
	s32i	a3, a5, 4
	l32i	a3, a2, 8
	s32i	a3, a5, 8
	l32i	a3, a2, 12
	s32i	a3, a5, 12
	l32i	a5, a2, 40
	l32i	a3, a2, 16
	s32i	a3, a5, 0
	l32i	a3, a2, 20
	s32i	a3, a5, 4
	l32i	a3, a2, 24
	s32i	a3, a5, 8
	l32i	a3, a2, 28
	s32i	a3, a5, 12
	movi	a2, 1
	retw
