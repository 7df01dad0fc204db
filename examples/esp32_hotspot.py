# An ESP32 that makes a Wi-Fi of its own, for places without one. Save this as main.py on the board.
import network
import time

from ftpdlite import FTPdLite

wlan = network.WLAN(network.AP_IF)
wlan.active(True)
wlan.config(ssid="Files", security=network.AUTH_WPA2_PSK, key="eight letters or more")
while not wlan.active():
    time.sleep(0.1)

# Connect your computer to the Wi-Fi "Files". The board usually has the address 192.168.4.1 there.
print("Connect your FTP client to", wlan.ifconfig()[0])
server = FTPdLite()
server.credentials = "username:password"
server.run()
