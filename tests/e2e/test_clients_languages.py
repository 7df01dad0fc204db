"""The FTP clients of PHP and of Ruby, as programs use them. Perl and Python have tests of their own."""

import json

import pytest
from clients import CommandLine
from trees import content

pytestmark = pytest.mark.clients

DATA = content("languages", 300_000)

PHP = r"""<?php
function done($result) { if ($result === false) throw new Exception("it failed"); return $result; }
[, $host, $port] = $argv;
$ftp = done(ftp_connect($host, (int) $port));
done(ftp_login($ftp, "tester", "secret"));
done(ftp_pasv($ftp, true));
done(ftp_mkdir($ftp, "two wörds"));
done(ftp_chdir($ftp, "two wörds"));
done(ftp_put($ftp, "Grüße 1.bin", "all", FTP_BINARY));
done(ftp_put($ftp, "resumed", "part", FTP_BINARY));
done(ftp_put($ftp, "resumed", "all", FTP_BINARY, 100000));
copy("part", "down");
done(ftp_get($ftp, "down", "Grüße 1.bin", FTP_BINARY, 100000));
done(ftp_rename($ftp, "Grüße 1.bin", "neu ß"));
echo json_encode([
    "names" => ftp_nlist($ftp, "."),
    "sizes" => [ftp_size($ftp, "neu ß"), ftp_size($ftp, "resumed")],
    "facts" => array_column(ftp_mlsd($ftp, "."), "type", "name"),
    "lines" => count(ftp_rawlist($ftp, "-la")),
]), "\n";
done(ftp_delete($ftp, "neu ß"));
done(ftp_chdir($ftp, ".."));
ftp_close($ftp);
"""

RUBY = r"""# encoding: utf-8
require "json"
require "net/ftp"
ftp = Net::FTP.new
ftp.connect(ARGV[0], ARGV[1].to_i)
ftp.login("tester", "secret")
ftp.mkdir("two wörds")
ftp.chdir("two wörds")
ftp.putbinaryfile("all", "Grüße 1.bin")
ftp.putbinaryfile("part", "resumed")
ftp.resume = true
ftp.putbinaryfile("all", "resumed")
File.binwrite("down", File.binread("part"))
ftp.getbinaryfile("Grüße 1.bin", "down")
ftp.rename("Grüße 1.bin", "neu ß")
text = ->(name) { name.dup.force_encoding("UTF-8") }
puts JSON.generate(
  names: ftp.nlst.map(&text),
  sizes: [ftp.size("neu ß"), ftp.size("resumed")],
  facts: ftp.mlsd.to_h { |entry| [text.(entry.pathname), entry.type] },
  lines: ftp.list("-la").size
)
ftp.delete("neu ß")
ftp.chdir("..")
ftp.close
"""


class Php(CommandLine):
    program = "php"
    package = "php-cli"


class Ruby(CommandLine):
    program = package = "ruby"


@pytest.mark.parametrize("client, program", [(Php, PHP), (Ruby, RUBY)], ids=["php", "ruby"])
def test_a_program_moves_resumes_lists_renames_and_deletes(board, tmp_path, client, program):
    client = client(board, tmp_path)
    (client.home / "program").write_text(program)
    (client.home / "all").write_bytes(DATA)
    (client.home / "part").write_bytes(DATA[:100_000])
    told = client.run("program", board.host, board.port)
    assert json.loads(told) == {
        "names": ["neu ß", "resumed"],
        "sizes": [300_000, 300_000],
        "facts": {".": "cdir", "..": "pdir", "neu ß": "file", "resumed": "file"},
        "lines": 2,
    }
    assert (client.home / "down").read_bytes() == DATA
    assert board.files.tree() == {"/two wörds/": None, "/two wörds/resumed": DATA}
