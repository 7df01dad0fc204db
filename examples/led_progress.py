# An LED that shows what the server does: off when idle, on while somebody is connected, blinking during a transfer. Save this as main.py on the board.
import network
import time
from machine import Pin

from ftpdlite import FTPdLite

led = Pin("LED", Pin.OUT)  # the LED of a Pico W; for other boards the number of the pin


def show(kind, info):
    # This runs between two steps of the server, so it has to be short.
    if kind == "connect":
        led.on()
    elif kind == "disconnect":
        led.value(len(server.sessions) > 0)
    elif kind in ("transfer_start", "transfer_progress"):
        led.toggle()
    elif kind == "transfer_end":
        led.on()
        print("%s %s: %d bytes" % (info["transfer"], info["path"], info["bytes"]))


wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("name of the Wi-Fi", "its password")
while not wlan.isconnected():
    time.sleep(0.1)

print("Connect your FTP client to", wlan.ifconfig()[0])
server = FTPdLite(on_event=show)
server.credentials = "username:password"
server.run()
