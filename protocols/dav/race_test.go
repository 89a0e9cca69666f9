//go:build race

package dav

// raceDetector says that the tests run with the race detector, with which everything takes several times as long.
const raceDetector = true
