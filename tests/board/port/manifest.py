# What is frozen into the firmware, as on boards: asyncio, and what runs before main.py.
include("$(MPY_DIR)/extmod/asyncio")
freeze("frozen")
