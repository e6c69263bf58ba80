module github.com/graceshut/graceshut/bindings-go/adaptertest

go 1.22

require (
	github.com/gorilla/websocket v1.5.3
	github.com/graceshut/graceshut/bindings-go v0.0.0
	github.com/valyala/fasthttp v1.51.0
	golang.org/x/sync v0.8.0
	google.golang.org/grpc v1.66.2
)

require (
	github.com/andybalholm/brotli v1.0.5 // indirect
	github.com/klauspost/compress v1.17.0 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	golang.org/x/net v0.26.0 // indirect
	golang.org/x/sys v0.21.0 // indirect
	golang.org/x/text v0.16.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20240604185151-ef581f913117 // indirect
	google.golang.org/protobuf v1.34.1 // indirect
)

replace github.com/graceshut/graceshut/bindings-go => ../
