# What the original server imports for hashed passwords, which are not used here: no cipher.
class aes:
    def __init__(self, key, mode):
        pass

    def encrypt(self, data):
        return data
