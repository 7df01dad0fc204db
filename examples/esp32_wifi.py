# An ESP32 of any kind in your Wi-Fi. Save this as main.py on the board.
import network
import time

from ftpdlite import FTPdLite

wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.config(pm=network.WLAN.PM_NONE)  # with power saving every reply has to wait
network.hostname("board")  # clients that know mDNS find the board as board.local
wlan.connect("name of the Wi-Fi", "its password")
while not wlan.isconnected():
    time.sleep(0.1)

try:
    import ntptime

    ntptime.settime()  # so that files get the right time
except OSError:
    print("No time server answers: new files will have wrong times.")

print("Connect your FTP client to", wlan.ifconfig()[0])
server = FTPdLite()
server.credentials = "username:password"
server.run()
