# A Pico W or Pico 2 W in your Wi-Fi. Save this as main.py on the board.
import network
import time

from ftpdlite import FTPdLite

# Make the server before the network, while the free memory is in one piece.
server = FTPdLite()
server.credentials = "username:password"

network.country("DE")  # your country: it says which channels are allowed
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.config(pm=network.WLAN.PM_NONE)  # with power saving every reply is late
wlan.connect("name of the Wi-Fi", "its password")
while not wlan.isconnected():
    time.sleep(0.1)

print("Connect your FTP client to", wlan.ifconfig()[0])
server.run()
