// Package queue holds every message that the server has accepted and not yet
// passed on.
package queue
