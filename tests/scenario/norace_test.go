//go:build !race

package scenario

// raceEnabled: everything takes several times as long.
const raceEnabled = false
