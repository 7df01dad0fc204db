# Serves an SD card and nothing else, so that no client can change the board's programs. Save this as main.py on the board.
import machine
import network
import time
import vfs

from ftpdlite import FTPdLite

card = machine.SDCard()  # ESP32, i.MX RT; slot and pins as on your board
# On a Pico, after mip.install("sdcard"):
# import sdcard
# card = sdcard.SDCard(machine.SPI(0), machine.Pin(17))
vfs.mount(card, "/sd")

wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("name of the Wi-Fi", "its password")
while not wlan.isconnected():
    time.sleep(0.1)

print("Connect your FTP client to", wlan.ifconfig()[0])
# What clients call "/" is "/sd" on the board.
server = FTPdLite(root="/sd")
server.credentials = "username:password"
server.run()
