# Before main.py: the ROMFS that the emulator was started with is mounted, and a LittleFS on the disc.
import board
import sys
import uctypes
import vfs

disc = board.Disc()
vfs.VfsLfs2.mkfs(disc)
vfs.mount(vfs.VfsLfs2(disc), "/")
rom = uctypes.bytearray_at(board.ROMFS_BASE, board.ROMFS_SIZE)
if rom[:3] == b"\xd2\xcd\x31":
    vfs.mount(vfs.VfsRom(rom), "/rom")
    sys.path.append("/rom")
    sys.path.append("/rom/lib")
