#!/usr/bin/env python3
"""Holds the include arrows between the rooms of src/ (docs/architecture.md) and the purity of the core.

usage: check_arrows.py [--root DIR] [--self-test]

Two rules, read from the sources and not from the build files:
  arrows   a file of a room includes only headers of the rooms that the table below allows
  purity   no file of a pure room names a clock, socket, file, thread or log

Prints one line for each breach (file:line: what) and exits 1 when there is one.
"""
import argparse
import pathlib
import re
import sys
import tempfile

# room -> rooms that it may include, beside itself. Longest matching prefix wins.
CORE = {"base", "model", "policy", "ports"}
ARROWS = {
    "base": set(),
    "model": {"base"},
    "wire": {"base", "model"},
    "policy": {"base", "model"},
    "ports": {"base", "model"},
    "ops/facts": {"base"},
    "coap": {"base", "model", "wire"},
    "signal/heartbeat": {"base", "model"},
    "signal": CORE | {"signal"},
    "data": CORE | {"wire"},
    "detection": CORE,
    "mitigation": CORE,
    "agent": CORE | {"wire", "coap", "signal", "data", "detection", "mitigation", "agent", "ops/facts"},
    "adapters": {"base", "model", "wire", "ports", "ops/facts", "adapters"},
    "ops": {"base", "model", "policy", "ops", "ops/facts"},
    "api": {"base", "model", "agent", "ops", "ops/facts"},
}
PURE = ["base", "model", "wire", "policy", "ports", "coap", "signal", "data", "detection", "mitigation", "agent"]

# Reading a clock, opening anything, running beside, or writing somewhere.
IMPURE = [
    (r"\b(system_clock|steady_clock|high_resolution_clock)\b", "reads a clock"),
    (r"\b(clock_gettime|gettimeofday|timespec_get)\s*\(", "reads a clock"),
    (r"(?<![\w.>])time\s*\(\s*(nullptr|NULL|0|&)", "reads a clock"),
    (r"#include <(thread|mutex|shared_mutex|condition_variable|future|stop_token|semaphore|latch|barrier)>", "threads or locks"),
    (r"#include <(fstream|iostream|filesystem|cstdio|stdio\.h)>", "files or standard streams"),
    (r"#include <(sys/socket\.h|netinet/[a-z]+\.h|netdb\.h|unistd\.h|fcntl\.h|poll\.h|sys/epoll\.h)>", "sockets or files"),
    (r"#include <(boost/asio|spdlog|gnutls|sqlite3|ares)", "a library of the shell"),
    (r"\bstd::(random_device|this_thread|thread|mutex|cout|cerr|clog|ofstream|ifstream)\b", "the world"),
    (r"\b(getenv|rand|srand|printf|fprintf|syslog)\s*\(", "the world"),
]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def room_of(path):
    """The room that a path below src/ belongs to."""
    best = ""
    for room in ARROWS:
        if (path == room or path.startswith(room + "/")) and len(room) > len(best):
            best = room
    return best


def allowed(room, target_path):
    target = room_of(target_path)
    top = target.split("/")[0]
    return target == room or target in ARROWS[room] or (top in ARROWS[room] and target != "ops/facts")


def strip_comments(line):
    return re.sub(r"//.*", "", line)


def breaches(root):
    found = []
    src = root / "src"
    for path in sorted(list(src.rglob("*.h")) + list(src.rglob("*.cpp")) + list(src.rglob("*.inc"))):
        rel = path.relative_to(src).as_posix()
        room = room_of(rel)
        if not room:
            found.append(f"src/{rel}:1: no room of the architecture has this folder")
            continue
        is_test = path.name.endswith("_test.cpp")
        pure = any(rel.startswith(p + "/") for p in PURE)
        for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            line = strip_comments(raw)
            m = INCLUDE.match(line)
            if m and not (is_test and m.group(1).startswith("tests/")):
                target = m.group(1)
                if not (src / target).exists():
                    found.append(f"src/{rel}:{number}: includes {target}, which no room has (paths start at src/)")
                elif not allowed(room, target):
                    # Tests may look further, but never up into the shell from the core.
                    if not (is_test and room_of(target).split("/")[0] in PURE):
                        found.append(f"src/{rel}:{number}: {room} must not include {room_of(target)} ({target})")
            if pure and not is_test:
                for pattern, what in IMPURE:
                    if re.search(pattern, line):
                        found.append(f"src/{rel}:{number}: a pure room touches the world: {what}: {line.strip()}")
    return found


def self_test():
    """The checks must be able to fail: each of these small trees has exactly one breach."""
    cases = [
        ("src/data/a.cpp", '#include "mitigation/b.h"\n', "must not include"),
        ("src/model/a.cpp", '#include "wire/b.h"\n', "must not include"),
        ("src/signal/server/a.cpp", '#include "mitigation/b.h"\n', "must not include"),
        ("src/adapters/net/a.cpp", '#include "agent/b.h"\n', "must not include"),
        ("src/agent/a.cpp", '#include "ops/b.h"\n', "must not include"),
        ("src/coap/a.cpp", "auto t = std::chrono::steady_clock::now();\n", "reads a clock"),
        ("src/signal/a.cpp", "#include <thread>\n", "threads"),
        ("src/agent/a.cpp", "#include <sys/socket.h>\n", "sockets"),
        ("src/wire/a.cpp", "#include <fstream>\n", "files"),
        ("src/policy/a.cpp", "#include <spdlog/spdlog.h>\n", "library of the shell"),
        ("src/nowhere/a.cpp", "\n", "no room"),
    ]
    clean = [("src/agent/a.cpp", '#include "ops/facts/b.h"\n'), ("src/wire/a.cpp", '#include "model/b.h"\n// steady_clock\n')]
    for name, text, expected in cases + [(n, t, None) for n, t in clean]:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for room in ["wire", "mitigation", "agent", "ops", "model", "ops/facts"]:
                (root / "src" / room).mkdir(parents=True, exist_ok=True)
                (root / "src" / room / "b.h").write_text("")
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            result = breaches(root)
            good = (not result) if expected is None else (len(result) == 1 and expected in result[0])
            if not good:
                print(f"self-test: {name} with {text!r}: expected {expected!r}, got {result}")
                return 1
    print(f"self-test: {len(cases)} planted breaches found, {len(clean)} clean trees passed")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=".", type=pathlib.Path)
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    found = breaches(arguments.root.resolve())
    for line in found:
        print(line)
    print(f"{len(found)} breaches of arrows and purity")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
