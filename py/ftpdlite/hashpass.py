# Hashed passwords. $pbkdf2-sha256$ROUNDS$SALT$KEY, as passlib writes them: PBKDF2 with HMAC-SHA-256 (RFC 8018). And
# $5a$SALT$HASH, as the original stores them: SHA-256 of the AES-ECB encryption of the padded password.
import binascii
import os

from asyncio import core

_ROUNDS = 10000
_ENOSYS = 38
# How many rounds are done until other tasks run.
_STEP = 10
# Bytes that SHA-256 takes at once.
_BLOCK = 64


def _base64(data):
    return binascii.b2a_base64(data).decode().rstrip("\n=").replace("+", ".")


def split(secret):
    """(rounds, salt, key) of a $pbkdf2-sha256$ hash; None when it is not well formed."""
    try:
        _, _, rounds, salt, key = secret.split("$")
        rounds = int(rounds)
        salt, key = [
            binascii.a2b_base64(text.replace(".", "+") + "=" * (-len(text) % 4)) for text in (salt, key)
        ]
    except ValueError:
        return None
    if 0 < rounds <= 10000000 and len(key) == 32:
        return rounds, salt, key


def _bytes(password):
    return password if isinstance(password, bytes) else password.encode()


def _pbkdf2(password, salt, rounds):
    # A generator, because it takes long. The firmware's SHA-256 is machine code; that it has no copies of a digest that has begun costs two more blocks a round.
    from hashlib import sha256

    key = _bytes(password)
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    key += bytes(_BLOCK - len(key))
    inner = bytes(byte ^ 0x36 for byte in key)
    outer = bytes(byte ^ 0x5C for byte in key)
    block = salt + b"\0\0\0\1"
    found = 0
    while rounds > 0:
        for _ in range(min(rounds, _STEP)):
            block = sha256(outer + sha256(inner + block).digest()).digest()
            found ^= int.from_bytes(block, "big")
        rounds -= _STEP
        yield from core.sleep_ms(0)
    return found.to_bytes(32, "big")


def _5a(password, salt):
    from cryptolib import aes
    from hashlib import sha256

    data = _bytes(password)
    data += bytes(16 - len(data) % 16)
    digest = sha256(aes(salt.encode(), 1).encrypt(data)).digest()
    return "$5a$" + salt + "$" + binascii.b2a_base64(digest).decode().rstrip()


def matches(native, password, secret):
    """Whether it is the password of a hash: a generator that lets other tasks run."""
    if secret.startswith("$5a$"):
        return native.same(_5a(password, secret[4:20]), secret)
    rounds, salt, key = split(secret)
    found = yield from _pbkdf2(password, salt, rounds)
    return native.same(found, key)


def make(password):
    """The hash of a password with a salt of its own, or an errno: a generator that lets other tasks run."""
    try:
        salt = os.urandom(16)
        key = yield from _pbkdf2(password, salt, _ROUNDS)
    except (AttributeError, ImportError):
        # The firmware has no hashlib, or nothing random.
        return _ENOSYS
    return "$pbkdf2-sha256$%d$%s$%s" % (_ROUNDS, _base64(salt), _base64(key))
