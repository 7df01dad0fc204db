# Measures once a minute and lets everybody read the logs. Only the account may change files. Save this as main.py on the board.
import asyncio
import machine
import network
import os
import time

from ftpdlite import FTPdLite

SECONDS = 60


def append(lines):
    # A file for each day.
    name = "/logs/%04d-%02d-%02d.csv" % time.gmtime()[:3]
    with open(name, "a") as file:
        for line in lines:
            file.write(line)


async def measure(server):
    sensor = machine.ADC(4)  # the thermometer in a Pico
    lines = []
    while True:
        lines.append("%d,%d\n" % (time.time(), sensor.read_u16()))
        # A file must not change while a client reads it. So the lines wait in memory until no transfer runs.
        if not any(session.transfer for session in server.sessions):
            append(lines)
            lines.clear()
        await asyncio.sleep(SECONDS)


async def main():
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    wlan.connect("name of the Wi-Fi", "its password")
    while not wlan.isconnected():
        await asyncio.sleep(0.1)
    print("The logs are at ftp://%s/" % wlan.ifconfig()[0])

    # The user "anonymous" needs no password. It sees the folder "/logs" as "/" and can only read.
    server = FTPdLite(anonymous="/logs")
    server.add_account("admin:secret")
    await server.start()
    await measure(server)


if "logs" not in os.listdir("/"):
    os.mkdir("/logs")
asyncio.run(main())
