module github.com/graceshut/graceshut/conformance/drivers/go

go 1.22

require github.com/graceshut/graceshut/bindings-go v0.1.0
