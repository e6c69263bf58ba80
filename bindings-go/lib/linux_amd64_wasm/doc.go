// Package linux_amd64_wasm keeps this folder in vendored copies: the C library for linux/amd64 with WebAssembly hooks lies in it.
package linux_amd64_wasm
