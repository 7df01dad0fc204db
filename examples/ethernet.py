# A board with Ethernet. Save this as main.py on the board, with the line for your board.
import network
import time

from ftpdlite import FTPdLite

lan = network.LAN()  # STM32, i.MX RT
# lan = network.WIZNET5K()  # W5100S-EVB-Pico, W5500-EVB-Pico
# from machine import Pin
# lan = network.LAN(mdc=Pin(23), mdio=Pin(18), power=None, phy_type=network.PHY_LAN8720, phy_addr=0)  # ESP32, pins as on your board
lan.active(True)
while not lan.isconnected() or lan.ifconfig()[0] == "0.0.0.0":
    time.sleep(0.1)

print("Connect your FTP client to", lan.ifconfig()[0])
server = FTPdLite()
server.credentials = "username:password"
server.run()
