# cryptolib, which the port lacks: AES (FIPS 197) with a key of 16 bytes, encryption of whole blocks (ECB).


def _double(byte):
    return (byte << 1 ^ (0x11B if byte & 0x80 else 0)) & 0xFF


def _make_box():
    # Inverses go by powers of 3 and of its inverse, 0xf6.
    box = bytearray(256)
    box[0] = 0x63
    p = q = 1
    while True:
        p ^= _double(p)
        q ^= q << 1
        q ^= q << 2
        q = (q ^ q << 4) & 0xFF
        if q & 0x80:
            q ^= 9
        turned = q
        for shift in (1, 2, 3, 4):
            turned ^= (q << shift | q >> 8 - shift) & 0xFF
        box[p] = turned ^ 0x63
        if p == 1:
            return box


_BOX = _make_box()


class aes:
    def __init__(self, key, mode):
        if len(key) != 16 or mode != 1:
            raise ValueError("only 16 bytes and ECB")
        words = [key[at : at + 4] for at in range(0, 16, 4)]
        constant = 1
        while len(words) < 44:
            word = words[-1]
            if len(words) % 4 == 0:
                word = bytes(_BOX[byte] for byte in word[1:] + word[:1])
                word = bytes([word[0] ^ constant]) + word[1:]
                constant = _double(constant)
            words.append(bytes(a ^ b for a, b in zip(words[-4], word)))
        self._keys = [b"".join(words[at : at + 4]) for at in range(0, 44, 4)]

    def encrypt(self, data):
        return b"".join(self._block(data[at : at + 16]) for at in range(0, len(data), 16))

    def _block(self, block):
        state = [a ^ b for a, b in zip(block, self._keys[0])]
        for number in range(1, 11):
            state = [_BOX[state[(at + 4 * (at % 4)) % 16]] for at in range(16)]
            if number < 10:
                mixed = []
                for at in range(0, 16, 4):
                    column = state[at : at + 4]
                    every = column[0] ^ column[1] ^ column[2] ^ column[3]
                    for i in range(4):
                        mixed.append(column[i] ^ every ^ _double(column[i] ^ column[(i + 1) % 4]))
                state = mixed
            state = [a ^ b for a, b in zip(state, self._keys[number])]
        return bytes(state)
