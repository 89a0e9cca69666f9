package main

import (
	"fmt"
	"net"
	"os"
)

// notifyReady tells the service manager when the server is ready (sd_notify(3)): units
// of Type=notify wait for it. Without a manager that wants to know it does nothing.
func notifyReady(ready, ended <-chan struct{}) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	select {
	case <-ended:
		return
	case <-ready:
	}
	conn, err := net.Dial("unixgram", socket) // a name that begins with @ is an abstract one
	if err == nil {
		_, err = conn.Write([]byte("READY=1"))
		conn.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gatepost: tell the service manager that the server is ready:", err)
	}
}
