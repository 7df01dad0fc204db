# What `cargo xtask serve` runs: argv is HOST PORT ROOT DEBUG CURL CERTIFICATE KEY ACCOUNT..., CERTIFICATE and KEY empty without TLS.
import asyncio
import sys

from ftpdlite import FTPdLite

host, port, root, debug, curl, certificate, key = sys.argv[1:8]
accounts = sys.argv[8:]
server = FTPdLite(
    host=host,
    port=int(port),
    root=root,
    tls="optional" if certificate else "off",
    certificate=certificate or None,
    key=key or None,
    debug=debug == "1",
)
for account in accounts:
    if not server.add_account(account):
        print("error: an account is NAME:PASSWORD, not %s" % account)
        sys.exit(2)


async def main():
    try:
        await server.start()
    except OSError as error:
        print("error: %s" % error)
        sys.exit(1)
    print("Serving %s" % root)
    for i, account in enumerate(accounts):
        print("Account %s, %s" % (account, "may only read" if i else "may write"))
    print("Try: %s" % curl)
    print("Ctrl-C stops.")
    while True:
        await asyncio.sleep(3600)


try:
    asyncio.run(main())
except KeyboardInterrupt:
    asyncio.run(server.stop())
    print("Stopped.")
