"""The server that bench.py compares with: pyftpdlib as it comes, silent. Arguments: HOST PORT ROOT."""

import logging
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer


def main(host, port, root):
    logging.disable(logging.CRITICAL)
    authorizer = DummyAuthorizer()
    authorizer.add_user("tester", "secret", root, perm="elradfmw")
    FTPHandler.authorizer = authorizer
    with FTPServer((host, int(port)), FTPHandler) as server:
        print(f"Listening on {host}:{port}", flush=True)
        try:
            server.serve_forever(handle_exit=False)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
