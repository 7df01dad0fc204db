# What `cargo xtask serve` runs: argv is HOST PORT ROOT DEBUG CURL ACCOUNT...
import asyncio
import sys

from ftpdlite import FTPdLite

host, port, root, debug, curl = sys.argv[1:6]
accounts = sys.argv[6:]
server = FTPdLite(host=host, port=int(port), root=root, debug=debug == "1")
for account in accounts:
    if not server.add_account(account):
        print("error: an account is NAME:PASSWORD, not %s" % account)
        sys.exit(2)


async def main():
    try:
        await server.start()
    except OSError as error:
        print("error: cannot listen on %s:%s: %s" % (host, port, error))
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
