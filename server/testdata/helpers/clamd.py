#!/usr/bin/env -S python3 -u
"""An External Filter that asks clamd: clamd.py SOCKET. clamd reads the view of the message itself."""
import os, socket, sys

def scan(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[1])
        s.sendall(b"nCONTSCAN " + os.path.abspath(path).encode() + b"\n")
        return s.makefile().readline().strip()

for line in iter(sys.stdin.readline, ""):
    n, command, *rest = line.split()
    if command == "INTF":
        print(n, "INTF 3")
    elif command == "QUIT":
        print(n, "OK")
        break
    elif command != "FILE":
        print(n, "FAILURE")
    else:
        try:
            verdict = scan(rest[0])
        except OSError as e:
            print(n, 'REJECTED "clamd: %s"' % e)
            continue
        if verdict.endswith(" FOUND"):
            print(n, 'ERROR "the message has %s"' % verdict.split()[-2])
        elif verdict.endswith(" OK"):
            print(n, 'ADDHEADER "X-Virus-Scanned: clamd" OK')
        else:
            print(n, 'REJECTED "clamd: %s"' % verdict)
