# Runs in MicroPython: what a client does to files in the tests of board_rig.py, and which files are right afterwards.
import os

ROOT = "/flash"
OLD = b"".join(b"old %04d " % number for number in range(330))
NEW = b"".join(b"new %04d " % number for number in range(600))
MORE = NEW[:2500]
BYSTANDER = b"a file that has nothing to do with it " * 20
BYSTANDERS = ("/bystander", "/d/bystander")


def path_of(name):
    return ROOT.encode() + (name if isinstance(name, bytes) else name.encode())


def read(name):
    with open(path_of(name), "rb") as file:
        return file.read()


def write(name, content):
    with open(path_of(name), "wb") as file:
        file.write(content)


def fill(files):
    """Makes files and folders: {path: content}, as tree() returns them."""
    for path in sorted(files):
        if path.endswith("/"):
            os.mkdir(path_of(path[:-1]))
        else:
            write(path, files[path])


def told(content):
    return "missing" if content is None else "%d bytes, %r" % (len(content), content[:30])


class Look:
    """Commands that change nothing. Those in `lists` have a data connection. may_refuse: whether they may fail although nothing is wrong."""

    breaks = False

    def __init__(self, path, commands, lists=(), may_refuse=False):
        self.path = path
        self.commands = commands
        self.lists = lists
        self.may_refuse = may_refuse

    def prepare(self):
        write(self.path, OLD)

    async def run(self, client):
        for command in self.commands:
            answer = await client(command)
        for command in self.lists:
            answer = await client.get(command)
        return answer

    def knows(self, path):
        return path == self.path

    def wrong(self, found):
        content = found.get(self.path)
        return None if content == OLD else "the file is %s" % told(content)

    def is_done(self, _):
        return True


class Upload:
    """An upload: its command, its bytes, whether the connection breaks, the old content, and which contents are right afterwards,
    whatever happens. None stands for no file.
    """

    may_refuse = False

    def __init__(self, command, content, breaks, before, right, name):
        self.command = command
        self.content = content
        self.breaks = breaks
        self.before = before
        self.right = right
        self.path = "/d/" + name

    def prepare(self):
        if self.before is not None:
            write(self.path, self.before)

    async def run(self, client):
        return await client.store("%s %s" % (self.command, self.path), self.content, self.breaks)

    def knows(self, path):
        """Whether this content is right."""
        return path == self.path

    def wrong(self, found):
        """Says what is wrong with the files, or None if they are right. This holds whatever happened."""
        content = found.get(self.path)
        return None if self.right(content) else "the file is %s" % told(content)

    def is_right_as(self, content):
        """Whether a file with another name may be this file: FAT may have lost its long name."""
        return self.right(content)

    def is_done(self, found):
        """Whether everything was done."""
        whole = OLD + MORE if self.command == "APPE" else NEW
        return not self.breaks and found.get(self.path) == whole


class Unique(Upload):
    """An upload whose name the server chooses."""

    def knows(self, path):
        return path.startswith(self.path + ".")

    def wrong(self, found):
        for path in found:
            if self.knows(path) and found[path] != NEW:
                return "%s is %s" % (path, told(found[path]))

    def is_done(self, found):
        return [found[path] for path in found if self.knows(path)] == [NEW]


class Resumed(Upload):
    """An upload that goes on in the middle of the old file."""

    async def run(self, client):
        await client("REST 1000")
        return await super().run(client)

    def is_done(self, found):
        return found.get(self.path) == OLD[:1000] + NEW


class Change:
    """Commands that change names, and the files before and after them: {path: content}. Whatever happens, the files must be one of the two."""

    breaks = False
    may_refuse = False

    def __init__(self, before, after, *commands):
        self.before = before
        self.after = after
        self.commands = commands

    def prepare(self):
        fill(self.before)

    async def run(self, client):
        for command in self.commands:
            answer = await client(command)
            if answer[0] not in "23":
                break
        return answer

    def knows(self, path):
        return path in self.before or path in self.after

    def wrong(self, found):
        own = {path: found[path] for path in found if self.knows(path)}
        if own != self.before and own != self.after:
            return "there is %s" % {path: told(own[path]) for path in own}

    def is_right_as(self, _):
        return False

    def is_done(self, found):
        return {path: found[path] for path in found if self.knows(path)} == self.after


def renaming(before, source, target):
    """A change of one name, and of all that is below it."""
    after = {}
    for path in before:
        if path == target:
            continue
        below = path == source or source.endswith("/") and path.startswith(source)
        after[target + path[len(source) :] if below else path] = before[path]
    return Change(before, after, "RNFR " + source, "RNTO " + target)


def is_old(content):
    return content == OLD


def is_old_or_new(content):
    return content == OLD or content == NEW


def is_new_or_nothing(content):
    return content is None or content == NEW


def is_part_or_nothing(content):
    # The part that arrived stays. If nothing arrived, there is no file.
    return content is None or len(content) > 0 and NEW.startswith(content)


def is_longer(content):
    return content is not None and content.startswith(OLD) and (OLD + MORE).startswith(content)


def is_resumed(content):
    return content is not None and content.startswith(OLD[:1000])


def work(kind, name):
    """One of the works that are tried. name: the name of the file, because its length matters on FAT."""
    path = "/d/" + name
    folder = path + "/"
    other = "/d/other " + name if " " in name else "/d/other.txt"
    full = {folder: None, folder + "inner": OLD, folder + "a folder in it/": None, folder + "a folder in it/a file in it.txt": NEW}
    return {
        "new": lambda: Upload("STOR", NEW, False, None, is_new_or_nothing, name),
        "over": lambda: Upload("STOR", NEW, False, OLD, is_old_or_new, name),
        "broken": lambda: Upload("STOR", NEW, True, None, is_part_or_nothing, name),
        "broken over": lambda: Upload("STOR", NEW, True, OLD, is_old, name),
        "append": lambda: Upload("APPE", MORE, False, OLD, is_longer, name),
        "resume": lambda: Resumed("STOR", NEW, False, OLD, is_resumed, name),
        "look at a name": lambda: Look(path, ["%s %s" % (verb, path) for verb in ("SIZE", "MDTM", "MLST", "STAT", "RNFR")] + ["CWD /d", "PWD", "STAT", "AVBL", "CDUP"]),
        "digest": lambda: Look(path, ["HASH " + path, "XCRC " + path]),
        "ask the site": lambda: Look(path, ["SITE DF", "SITE FREE", "SITE GC", "SITE UPTIME", "SITE WHO", "ALLO 100"]),
        "set a time": lambda: Look(path, ["MFMT 20260102030405 " + path, "SITE UTIME 20260102030405 " + path, "SITE CHMOD 644 " + path], may_refuse=True),
        "list": lambda: Look(path, [], ["LIST /d"]),
        "list names": lambda: Look(path, [], ["NLST /d", "NLST /d/*"]),
        "list facts": lambda: Look(path, [], ["MLSD /d"]),
        "download": lambda: Look(path, [], ["RETR " + path]),
        "download a rest": lambda: Look(path, ["REST 1000"], ["RETR " + path]),
        "unique": lambda: Unique("STOU", NEW, False, None, is_new_or_nothing, name),
        "rename": lambda: renaming({path: OLD}, path, other),
        "rename over": lambda: renaming({path: NEW, other: OLD}, path, other),
        "rename empty": lambda: renaming({path: b""}, path, other),
        "rename case": lambda: renaming({path: OLD}, path, "/d/" + name.upper()),
        "move": lambda: renaming({path: OLD, "/e/": None}, path, "/e/" + name),
        "move over": lambda: renaming({path: NEW, "/e/": None, "/e/" + name: OLD}, path, "/e/" + name),
        "rename folder": lambda: renaming(full, folder, other + "/"),
        "rename empty folder": lambda: renaming({folder: None}, folder, other + "/"),
        "rename case of folder": lambda: renaming(full, folder, "/d/" + name.upper() + "/"),
        "move folder": lambda: renaming(dict(full, **{"/e/": None}), folder, "/e/" + name + "/"),
        "delete": lambda: Change({path: OLD}, {}, "DELE " + path),
        "make folder": lambda: Change({}, {folder: None}, "MKD " + path),
        "remove folder": lambda: Change({folder: None}, {}, "RMD " + path),
    }[kind]()
