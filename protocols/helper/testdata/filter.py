#!/usr/bin/env -S python3 -u
# A filter in Python that answers two commands in the wrong order, from threads.
import sys, threading
lock, first = threading.Lock(), threading.Event()
def say(line):
    with lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
def look(n, name):
    with open(name, "rb") as f:
        text = f.read()
    if b"Subject: first" in text:
        first.wait(20)
    else:
        first.set()
    say('%s ADDHEADER "X-Size: %d"' % (n, len(text)))
for line in iter(sys.stdin.readline, ""):
    n, command, *rest = line.split()
    if command == "FILE":
        threading.Thread(target=look, args=(n, rest[0])).start()
    elif command == "INTF":
        say(n + " INTF 4")
    else:
        say(n + " OK")
