# TLS (RFC 4217) with the firmware's own module: imported only by a server that is to offer it.
import binascii
import gc


def context(certificate, key):
    """A context that shows this certificate.

    certificate, key: the path of a file (str) or the content (bytes), PEM or DER. Raises ValueError, naming the argument, when one cannot
    be used, or when the firmware has no TLS.
    """
    try:
        import tls
    except ImportError:
        raise ValueError('tls must be "off": this firmware has no ssl module')
    certificate = _content("certificate", certificate, "CERTIFICATE-----")
    key = _content("key", key, "PRIVATE KEY-----")
    made = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
    try:
        made.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:
        name = "key" if "key" in str(error) else "certificate"
        raise ValueError("%s cannot be used: %s" % (name, error))
    return made


def _content(name, value, kind):
    # As DER, for most firmwares read nothing else.
    if isinstance(value, str):
        try:
            with open(value, "rb") as file:
                data = file.read()
        except OSError as error:
            raise ValueError("%s cannot be read: %s: %s" % (name, value, error))
    elif isinstance(value, (bytes, bytearray)):
        data = bytes(value)
    else:
        raise TypeError("%s must be the path of a file (str) or its content (bytes)" % name)
    if b"-----BEGIN " not in data:
        return data
    # The first block of that kind; what stands before it may be the parameters of a key.
    kind = kind.encode()
    start = data.find(kind) + len(kind)
    end = data.find(b"-----END ", start)
    if start < len(kind) or end < 0:
        raise ValueError("%s must have a PEM block %s" % (name, kind.decode().strip("-")))
    return binascii.a2b_base64(data[start:end])


def wrap(context, sock):
    """A TLS stream on a connected socket that does not block. It shakes hands as it is read or written, and closing it closes the socket.

    Raises MemoryError.
    """
    for _ in range(2):
        try:
            return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except (OSError, MemoryError):
            # The buffers of connections that are gone may be garbage still.
            gc.collect()
    raise MemoryError("TLS")
