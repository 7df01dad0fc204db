"""A second session that transfers while a client of a test does: it uploads, downloads and compares all the time."""

import ftplib
import io
import threading

from trees import content

# The size of its file. With the pause between two transfers it uses its share, and other tests can still run.
SIZE = 100_000
PAUSE = 0.02


class Neighbour(threading.Thread):
    """As a context manager: it is at work inside, and has done at least one upload and one download when that ends."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.over = threading.Event()
        self.failure = None

    def __enter__(self):
        (self.server.root / "neighbour").mkdir()
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        self.join()
        # If the test has failed already, a second error would only confuse.
        if kind is None and self.failure:
            raise self.failure

    def run(self):
        try:
            self.work()
        except Exception as failure:
            self.failure = failure

    def work(self):
        with ftplib.FTP(timeout=30) as ftp:
            ftp.connect(self.server.host, self.server.port)
            ftp.login("tester", "secret")
            ftp.cwd("neighbour")
            turn = 0
            while turn == 0 or not self.over.is_set():
                turn += 1
                sent = content(f"turn {turn}", SIZE)
                ftp.storbinary("STOR file", io.BytesIO(sent))
                pieces = []
                ftp.retrbinary("RETR file", pieces.append)
                assert b"".join(pieces) == sent, f"another file came back in turn {turn}"
                self.over.wait(PAUSE)
            ftp.quit()
