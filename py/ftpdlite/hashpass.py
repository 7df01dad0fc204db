# Hashed passwords, $5a$SALT$HASH, as the original stores them: SHA-256 of the AES-ECB encryption of the padded password.
import binascii
import os

_SALT = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def hash(password, salt):
    """The hash of a password with a salt of 16 characters. Raises ImportError where the firmware has no cryptolib."""
    from cryptolib import aes
    from hashlib import sha256

    data = password if isinstance(password, bytes) else password.encode()
    data += bytes(16 - len(data) % 16)
    digest = sha256(aes(salt.encode(), 1).encrypt(data)).digest()
    return "$5a$" + salt + "$" + binascii.b2a_base64(digest).decode().rstrip()


def make(password):
    """The hash of a password with a salt of its own."""
    return hash(password, "".join(_SALT[b & 63] for b in os.urandom(16)))
