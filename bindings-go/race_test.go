//go:build race

package graceshut

const raceDetector = true
