// Package linux_amd64 keeps this folder in vendored copies: the C library for linux/amd64 lies in it.
package linux_amd64
