"""FTP clients, each with the same few methods. A client lacks the methods for what it cannot do.

Every command line has a time limit, reads no configuration of the user, and must end with exit code 0.
"""

import ftplib
import os
import re
import shlex
import shutil
import subprocess

import pytest

SECONDS = 90


class CommandLine:
    """A client that is a program. `package` is the Debian package that has it."""

    program = package = ""
    environment = {}

    def __init__(self, server, folder):
        if shutil.which(self.program) is None:
            pytest.skip(f"the Debian package {self.package} is not installed")
        self.server = server
        self.home = folder / "home"
        self.home.mkdir()
        self.url = f"ftp://{server.host}:{server.port}"

    def run(self, *arguments, script=None, expect=0):
        """Runs the program; gives what it printed."""
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb"}
        environment |= self.environment
        done = subprocess.run(
            [self.program, *map(str, arguments)],
            input=script.encode() if script is not None else None,
            stdin=subprocess.DEVNULL if script is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=self.home,
            timeout=SECONDS,
        )
        output = done.stdout.decode(errors="replace")
        assert done.returncode == expect, f"{self.program} {arguments}: exit code {done.returncode}\n{output[-4000:]}"
        return output


class Curl(CommandLine):
    program = package = "curl"

    def curl(self, *arguments):
        return self.run("--silent", "--show-error", "--user", "tester:secret", "--max-time", SECONDS, *arguments)

    def download(self, remote, local):
        self.curl("--output", local, f"{self.url}/{remote}")

    def upload(self, local, remote):
        self.curl("--upload-file", local, f"{self.url}/{remote}")

    def resume_download(self, remote, local):
        self.curl("--continue-at", "-", "--output", local, f"{self.url}/{remote}")

    def resume_upload(self, local, remote):
        self.curl("--continue-at", "-", "--upload-file", local, f"{self.url}/{remote}")

    def names(self, folder):
        return self.curl("--list-only", f"{self.url}/{folder}/").split("\n")[:-1]

    def listing(self, folder):
        return self.curl(f"{self.url}/{folder}/")

    def quote(self, *commands):
        arguments = [argument for command in commands for argument in ("--quote", command)]
        self.curl("--head", f"{self.url}/", *arguments)

    def rename(self, old, new):
        self.quote(f"RNFR {old}", f"RNTO {new}")

    def delete(self, name):
        self.quote(f"DELE {name}")

    def make_directory(self, name):
        self.quote(f"MKD {name}")

    def remove_directory(self, name):
        self.quote(f"RMD {name}")


class Wget(CommandLine):
    program = package = "wget"

    def wget(self, *arguments):
        return self.run("--no-verbose", "--tries=1", "--timeout=30", "--user=tester", "--password=secret", *arguments)

    def download(self, remote, local):
        self.wget("--output-document", local, f"{self.url}/{remote}")

    def resume_download(self, remote, local):
        # --continue and --output-document together want a name in the working directory.
        os.rename(local, self.home / remote)
        self.wget("--continue", f"{self.url}/{remote}")
        os.rename(self.home / remote, local)

    def listing(self, folder):
        # The index page that wget makes of LIST.
        return self.wget("--output-document=-", f"{self.url}/{folder}/")


class Scripted(CommandLine):
    """A client that takes commands, with a word of its own for each."""

    remove_command = "delete"
    rename_command = "rename"

    def listing(self, folder):
        return self.script(f"ls {folder}")

    def rename(self, old, new):
        self.script(f"{self.rename_command} {old} {new}")

    def delete(self, name):
        self.script(f"{self.remove_command} {name}")

    def make_directory(self, name):
        self.script(f"mkdir {name}")

    def remove_directory(self, name):
        self.script(f"rmdir {name}")


class Tnftp(Scripted):
    program = package = "tnftp"

    @staticmethod
    def word(text):
        """A name as one word of a command."""
        return re.sub(r"([\s\"'\\])", r"\\\1", str(text))

    def script(self, *commands, expect=0):
        lines = [f"open {self.server.host} {self.server.port}", "user tester secret", "binary", *commands, "bye", ""]
        return self.run("-n", "-v", script="\n".join(lines), expect=expect)

    def download(self, remote, local):
        self.script(f"get {remote} {local}")

    def upload(self, local, remote):
        self.script(f"put {local} {remote}")

    def resume_download(self, remote, local):
        self.script(f"reget {remote} {local}")

    def names(self, folder):
        file = self.home / "names"
        self.script(f"nlist {folder} {file}")
        return [os.path.basename(name) for name in file.read_text().split("\n")[:-1]]


class Inetutils(Tnftp):
    """GNU's ftp. It has the same origin and the same commands, but it uses PORT by default."""

    program = package = "inetutils-ftp"

    def script(self, *commands, expect=0):
        return super().script("passive", *commands, expect=expect)

    def active_script(self, *commands):
        return super().script(*commands)


class Lftp(Scripted):
    program = package = "lftp"
    rename_command = "mv"
    remove_command = "rm"

    @staticmethod
    def word(text):
        """A name as one word of a command."""
        return '"' + re.sub(r'(["\\])', r"\\\1", str(text)) + '"'

    def script(self, *commands):
        head = [
            "set cmd:fail-exit yes",
            "set net:max-retries 1",
            "set net:timeout 30",
            "set ftp:ssl-allow no",
            f"open -u tester,secret {self.url}",
        ]
        return self.run("--norc", "-c", "; ".join([*head, *commands]))

    def download(self, remote, local):
        self.script(f"get {remote} -o {local}")

    def upload(self, local, remote):
        self.script(f"put {local} -o {remote}")

    def resume_download(self, remote, local):
        self.script(f"get -c {remote} -o {local}")

    def resume_upload(self, local, remote):
        self.script(f"put -c {local} -o {remote}")

    def names(self, folder):
        return [os.path.basename(name) for name in self.script(f"nlist {folder}").split("\n")[:-1]]


class Ncftp(Scripted):
    program = "ncftpget"
    package = "ncftp"
    remove_command = "rm"

    def ncftp(self, program, *arguments):
        self.program = program
        # -t, -r: one try, in bounded time. -V: no progress meter.
        return self.run("-u", "tester", "-p", "secret", "-P", self.server.port, "-t", "30", "-r", "1", *arguments)

    def download(self, remote, local):
        # ncftpget keeps the remote name.
        self.ncftp("ncftpget", "-V", "-Z", self.server.host, self.home, remote)
        os.replace(self.home / remote, local)

    def upload(self, local, remote):
        os.symlink(local, self.home / remote)
        self.ncftp("ncftpput", "-V", "-Z", self.server.host, "/", self.home / remote)

    def resume_download(self, remote, local):
        os.replace(local, self.home / remote)
        self.ncftp("ncftpget", "-V", "-z", self.server.host, self.home, remote)
        os.replace(self.home / remote, local)

    def names(self, folder):
        return self.ncftp("ncftpls", "-1", f"{self.url}/{folder}/").split("\n")[:-1]

    def listing(self, folder):
        return self.ncftp("ncftpls", "-l", f"{self.url}/{folder}/")

    def script(self, *commands):
        self.program = "ncftp"
        server = self.server
        lines = [f"open -u tester -p secret -P {server.port} {server.host}", *commands, "quit", ""]
        return self.run(script="\n".join(lines))


class Rclone(CommandLine):
    program = package = "rclone"

    def rclone(self, *arguments, expect=0):
        """A remote name begins with `:ftp:`."""
        if not self.environment:
            password = self.run("obscure", "secret").split("\n")[-2]
            self.environment = {
                "RCLONE_CONFIG": "",
                "RCLONE_FTP_HOST": self.server.host,
                "RCLONE_FTP_PORT": str(self.server.port),
                "RCLONE_FTP_USER": "tester",
                "RCLONE_FTP_PASS": password,
            }
        # Each transfer and each checker has a session, and the server has ten, one of them the neighbour's.
        common = ("--retries", 1, "--low-level-retries", 1, "--timeout", "30s", "--transfers", 4, "--checkers", 3)
        return self.run(*common, *arguments, expect=expect)


def may_mount():
    """Whether this process has the capability CAP_SYS_ADMIN, which in a container even root may lack."""
    with open("/proc/self/status") as status:
        capabilities = next(line.split()[1] for line in status if line.startswith("CapEff:"))
    return bool(int(capabilities, 16) >> 21 & 1)


class Curlftpfs(CommandLine):
    """A mounted server: with it every program is a client."""

    program = package = "curlftpfs"

    def __init__(self, server, folder):
        super().__init__(server, folder)
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            pytest.skip("/dev/fuse is missing, or not for this user")
        if os.geteuid() == 0 and not may_mount():
            pytest.skip("root may not mount here")
        if os.geteuid() and shutil.which("fusermount") is None:
            pytest.skip("only root may mount without fusermount")
        self.folder = folder / "mounted"
        self.folder.mkdir()

    def __enter__(self):
        self.run("-o", "user=tester:secret,utf8", f"{self.url}/", self.folder)
        return self.folder

    def __exit__(self, *_):
        unmount = ["umount"] if os.geteuid() == 0 else ["fusermount", "-u"]
        subprocess.run([*unmount, self.folder], check=True, timeout=SECONDS)


class Gvfs(CommandLine):
    """gio: at the command line what the file managers of GNOME, Xfce and Cinnamon use."""

    program = "gio"
    package = "libglib2.0-bin"

    def __init__(self, server, folder):
        super().__init__(server, folder)
        for path, package in (("/usr/lib/gvfs/gvfsd-ftp", "gvfs-backends"), ("/usr/bin/dbus-run-session", "dbus")):
            if not os.path.exists(path):
                pytest.skip(f"the Debian package {package} is not installed")
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        self.environment = {"XDG_RUNTIME_DIR": str(runtime), "GVFS_DISABLE_FUSE": "1", "GIO_USE_VOLUME_MONITOR": "unix"}
        self.url = self.url.replace("//", "//tester@")
        self.program = "dbus-run-session"

    def gio(self, *commands):
        """Runs commands, each a list of words, with the server mounted, on a bus of their own that ends with them."""
        lines = [["mount", f"{self.url}/"], *commands, ["mount", "--unmount", f"{self.url}/"]]
        script = ["set -e"]
        for line in lines:
            script.append(shlex.join(["gio", *map(str, line)]))
        # The password is asked for once.
        script[1] = f"echo secret | {script[1]}"
        return self.run("--", "sh", "-c", "\n".join(script))


class Kio(CommandLine):
    """kioclient5: at the command line what Dolphin and the other programs of KDE use."""

    program = "kioclient5"
    package = "kde-cli-tools"

    def __init__(self, server, folder):
        super().__init__(server, folder)
        if not os.path.exists("/usr/bin/dbus-run-session"):
            pytest.skip("the Debian package dbus is not installed")
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        self.environment = {"XDG_RUNTIME_DIR": str(runtime), "QT_QPA_PLATFORM": "offscreen"}
        self.url = self.url.replace("//", "//tester:secret@")
        self.program = "dbus-run-session"

    def kio(self, *arguments):
        """Runs the program on a bus of its own, which ends with it."""
        return self.run("--", "kioclient5", "--noninteractive", *arguments)


class NetFtp(CommandLine):
    """Perl's own."""

    program = package = "perl"

    def __init__(self, server, folder):
        super().__init__(server, folder)
        if subprocess.run([self.program, "-MNet::FTP", "-e", "1"], capture_output=True, timeout=SECONDS).returncode != 0:
            pytest.skip(f"Net::FTP is missing; the Debian package {self.package} has it")

    def perl(self, *lines):
        """Runs a program in which `$ftp` is a session; whatever fails ends it."""
        head = [
            "use strict; use Net::FTP;",
            f"my $ftp = Net::FTP->new('{self.server.host}', Port => {self.server.port}, Timeout => 30) or die $@;",
            "sub must { my ($done, $what) = @_; die $what . ': ' . $ftp->message unless $done; return $done; }",
            "must($ftp->login('tester', 'secret'), 'login'); $ftp->binary;",
        ]
        return self.run("-e", "\n".join([*head, *lines, "must($ftp->quit, 'quit');"]))


class Ftplib:
    """Python's own."""

    program = "ftplib"
    timeout = 30

    def __init__(self, server, folder):
        self.server = server

    def connect(self):
        ftp = ftplib.FTP(timeout=self.timeout)
        ftp.connect(self.server.host, self.server.port)
        ftp.login("tester", "secret")
        return ftp

    def download(self, remote, local, rest=None):
        with self.connect() as ftp, open(local, "ab" if rest else "wb") as file:
            ftp.retrbinary(f"RETR {remote}", file.write, blocksize=1 << 16, rest=rest)

    def upload(self, local, remote, rest=None):
        with self.connect() as ftp, open(local, "rb") as file:
            file.seek(rest or 0)
            ftp.storbinary(f"STOR {remote}", file, blocksize=1 << 16, rest=rest)

    def resume_download(self, remote, local):
        self.download(remote, local, rest=os.path.getsize(local))

    def resume_upload(self, local, remote):
        with self.connect() as ftp:
            ftp.voidcmd("TYPE I")
            size = ftp.size(remote)
        self.upload(local, remote, rest=size)

    def names(self, folder):
        with self.connect() as ftp:
            return ftp.nlst(folder)

    def listing(self, folder):
        lines = []
        with self.connect() as ftp:
            ftp.dir(folder, lines.append)
        return "\n".join(lines)

    def rename(self, old, new):
        with self.connect() as ftp:
            ftp.rename(old, new)

    def delete(self, name):
        with self.connect() as ftp:
            ftp.delete(name)

    def make_directory(self, name):
        with self.connect() as ftp:
            assert ftp.mkd(name) == f"/{name}"

    def remove_directory(self, name):
        with self.connect() as ftp:
            ftp.rmd(name)


CLIENTS = [Curl, Wget, Tnftp, Lftp, Ncftp, Ftplib]


def with_method(*methods):
    """The clients that have all these methods."""
    return [client for client in CLIENTS if all(hasattr(client, method) for method in methods)]
