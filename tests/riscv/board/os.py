# The port's os and what it lacks.
import random
from uos import *


def urandom(count):
    return bytes(random.getrandbits(8) for _ in range(count))
