# Encrypted: nobody can log in without TLS. Save this as main.py on the board, beside certificate.pem and key.pem (docs/tls.md says how to make them).
import network
import time

from ftpdlite import FTPdLite

# Make the server before the network, while the free memory is in one piece. It also reads the key here.
server = FTPdLite(tls="required", certificate="certificate.pem", key="key.pem", max_connections=1)
server.credentials = "username:password"

wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("name of the Wi-Fi", "its password")
while not wlan.isconnected():
    time.sleep(0.1)

print("Connect your FTP client to", wlan.ifconfig()[0], "with explicit TLS")
server.run()
