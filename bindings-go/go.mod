module github.com/graceshut/graceshut/bindings-go

go 1.22
