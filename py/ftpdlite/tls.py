# TLS (RFC 4217) with the firmware's own module. Loaded only by a server that offers TLS.
import binascii
import gc


class Tls:
    """What a server needs for TLS: made of its settings `tls`, `certificate` and `key`.

    Raises ValueError or TypeError, naming the setting, when one cannot be used, or when the firmware has no TLS.
    """

    def __init__(self, server):
        try:
            # As native.Server wants it.
            self.flag = {"optional": 16, "required": 32}[server.tls]
        except (KeyError, TypeError):
            raise ValueError('tls must be "off", "optional" or "required"')
        if not server.private_data:
            self.flag |= 64
        try:
            import tls
        except ImportError:
            raise ValueError('tls must be "off": this firmware has no ssl module')
        certificate = _content("certificate", server.certificate, b"CERTIFICATE-----")
        key = _content("key", server.key, b"PRIVATE KEY-----")
        self._context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
        try:
            self._context.load_cert_chain(certificate, key)
        except (OSError, ValueError) as error:
            name = "key" if "key" in str(error) else "certificate"
            raise ValueError("%s cannot be used: %s" % (name, error))

    def wrap(self, sock):
        """A TLS stream on a connected socket that does not block. The first read or write does the handshake. Closing it closes the socket.

        Raises MemoryError.
        """
        for _ in range(2):
            try:
                return self._context.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=False
                )
            except (OSError, MemoryError):
                # The buffers of connections that are gone may be garbage still.
                gc.collect()
        raise MemoryError("TLS")


def _content(name, value, kind):
    # As DER, because most firmwares read nothing else.
    if isinstance(value, str):
        try:
            with open(value, "rb") as file:
                value = file.read()
        except OSError as error:
            raise ValueError("%s cannot be read: %s: %s" % (name, value, error))
    elif not isinstance(value, (bytes, bytearray)):
        raise TypeError("%s must be the path of a file (str) or its content (bytes)" % name)
    value = bytes(value)
    if b"-----BEGIN " not in value:
        return value
    # The first block of that kind. Before it there may be the parameters of a key.
    start = value.find(kind) + len(kind)
    end = value.find(b"-----END ", start)
    if start < len(kind) or end < 0:
        raise ValueError("%s has no PEM block %s" % (name, kind.decode()[:-5]))
    return binascii.a2b_base64(value[start:end])
