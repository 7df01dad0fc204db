"""A self-signed certificate for the servers of the tests, and a client that takes it."""

import functools
import pathlib
import ssl
import subprocess
import tempfile

KEYS = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["rsa:2048"]}


@functools.cache
def folder():
    """Kept until the tests end."""
    return tempfile.TemporaryDirectory(prefix="ftpdlite-")


def run(command, data=b""):
    """Runs a program with these bytes as its input; gives its output."""
    return subprocess.run(command, input=data, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60).stdout


def make(kind="ec"):
    """A certificate with a key of this kind, always the same; gives the paths of the two PEM files."""
    certificate, key = (pathlib.Path(folder().name) / f"{kind}-{name}.pem" for name in ("certificate", "key"))
    if not certificate.exists():
        run(
            ["openssl", "req", "-x509", "-newkey", *KEYS[kind], "-nodes", "-days", "3650", "-subj", "/CN=localhost"]
            + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", certificate, "-keyout", key]
        )
    return certificate, key


def settings(tls="optional", kind="ec"):
    """The arguments of a server with TLS."""
    certificate, key = make(kind)
    return {"tls": tls, "certificate": str(certificate), "key": str(key)}


@functools.cache
def client(kind="ec"):
    """A context that trusts this certificate and no other."""
    context = ssl.create_default_context(cafile=make(kind)[0])
    # 3.13 asks for extensions that a plain self-signed certificate lacks.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    return context
