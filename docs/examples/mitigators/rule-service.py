#!/usr/bin/env python3
"""A service for back ends of kind "webhook" and "notify" of Tidewall that keeps rules in a file.

usage: rule-service.py --certificate FILE --key FILE --secret FILE --rules FILE [--notices FILE] [--port PORT]

It takes signed JSON by POST over HTTPS (docs/mitigators.md, "webhook") and prints the port that it listens on. Take it as
the beginning of a driver for a scrubbing centre or a ticket system: replace load() and save() by what asks and changes it.
"""
import argparse
import hashlib
import hmac
import http.server
import json
import os
import ssl
import threading
import time

CLOCKS_DIFFER_S = 300
MOST_BYTES = 16 << 20
KEYS_KEPT = 10000


def match(rule):
    """Two rules with the same match cannot stand side by side: the newer one replaces."""
    return json.dumps([rule["target"], rule.get("protocol"), rule.get("ports")])


class Service:
    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()
        self.answered = {}  # by idempotency key, oldest first

    def authentic(self, headers, target, body):
        with open(self.options.secret, encoding="utf-8") as file:
            secret = file.readline().rstrip()
        stamp = headers.get("Tidewall-Timestamp", "")
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > CLOCKS_DIFFER_S:
            return False
        signed = f"{stamp}\nPOST\n{target}\n".encode() + body
        expected = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, headers.get("Tidewall-Signature", ""))

    def load(self):
        try:
            with open(self.options.rules, encoding="utf-8") as file:
                return {match(rule): rule for rule in json.load(file)}
        except FileNotFoundError:
            return {}

    def save(self, rules):
        """All or nothing: the old file is there until the new one is complete on the disk."""
        new = self.options.rules + ".new"
        with open(new, "w", encoding="utf-8") as file:
            json.dump(list(rules.values()), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.options.rules)

    def answer(self, request, key):
        with self.lock:
            # A change that was answered and is asked for again is not carried out twice.
            if key and key in self.answered:
                return self.answered[key]
            out = self.carry_out(request)
            if key:
                self.answered[key] = out
                while len(self.answered) > KEYS_KEPT:
                    del self.answered[next(iter(self.answered))]
            return out

    def carry_out(self, request):
        op = request["op"]
        if op == "abilities":
            return {"ok": True, "counts": False, "limits": True, "scoped": True, "exempts": False}
        if op == "list":
            return {"ok": True, "rules": list(self.load().values())}
        if op == "apply":
            rules = self.load()
            for number, change in enumerate(request["changes"]):
                rule = change["rule"]
                if change["change"] == "remove":
                    rules.pop(match(rule), None)
                elif int(rule["target"].split("/")[1]) == 0:
                    return {"ok": False,
                            "refused": [{"change": number, "reason": "policy", "error": "never everything"}]}
                else:
                    rules[match(rule)] = rule
            self.save(rules)
            return {"ok": True}
        if op == "clear":
            self.save({})
            return {"ok": True}
        if op == "notice" and self.options.notices:
            with open(self.options.notices, "a", encoding="utf-8") as file:
                file.write(json.dumps(request) + "\n")
            return {"ok": True}
        return {"ok": False, "error": f"there is no '{op}' here", "reason": "function"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        if length > MOST_BYTES:
            return self.reply(413, {"ok": False, "error": "too much"})
        body = self.rfile.read(length)
        if not self.server.service.authentic(self.headers, self.path, body):
            return self.reply(401, {"error": "the signature or its time is wrong"})
        try:
            request = json.loads(body)
            return self.reply(200, self.server.service.answer(request, self.headers.get("Idempotency-Key")))
        except (ValueError, KeyError, TypeError) as error:
            return self.reply(400, {"ok": False, "error": f"the request makes no sense: {error}"})

    def reply(self, status, answer):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    for name in ("certificate", "key", "secret", "rules"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--notices", help="notices of kind notify are appended here, one JSON object in each line")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.service = Service(options)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
