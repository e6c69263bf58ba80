;; Tells a sidecar to quit, so that the pod or job ends when its program does: one POST. Under 1 KB.
;;
;;   [[hook]]
;;   phase = "final"
;;   name = "quit-sidecar"
;;   timeout = "2s"
;;   [hook.wasm]
;;   path = "quit.wasm"
;;   http = ["POST 127.0.0.1:15020"]
;;   config = { url = "http://127.0.0.1:15020/quitquitquit" }
;;
;; config: url (Istio's agent without; Linkerd's is http://127.0.0.1:4191/shutdown). In the last phase, for the sidecar takes the
;; network with it. 2xx is fine; anything else fails the hook, in words.
(module
  (import "graceshut_v1" "log" (func $log (param $level i32) (param $text i32) (param $len i32)))
  (import "graceshut_v1" "set_error" (func $set_error (param $text i32) (param $len i32)))
  (import "graceshut_v1" "context_read" (func $context_read (param $key i32) (param $key_len i32) (param $out i32) (param $cap i32) (result i32)))
  (import "graceshut_v1" "http_request" (func $http_request (param $request i32) (param $len i32) (param $out i32) (param $cap i32) (result i32)))
  (memory (export "memory") 1)

  (data (i32.const 0) "config.url")
  (data (i32.const 16) "the sidecar quits")
  (data (i32.const 64) "config.url is too long")
  (data (i32.const 96) "the request is not granted: see http in the hook's table")
  (data (i32.const 160) "config.url is malformed")
  (data (i32.const 192) "no sidecar answers")
  ;; Three digits of the answer go behind it.
  (data (i32.const 224) "the sidecar answers ")
  ;; The request: what the configuration says is read over the address that is there.
  (data (i32.const 1024) "POST http://127.0.0.1:15020/quitquitquit")

  (func $fail (param $code i32) (param $text i32) (param $len i32) (result i32)
    (call $set_error (local.get $text) (local.get $len))
    (local.get $code))

  (func $run (export "run") (param $reason i32) (result i32)
    (local $url_len i32) (local $answer i32)
    (local.set $url_len (call $context_read (i32.const 0) (i32.const 10) (i32.const 1029) (i32.const 4096)))
    (if (i32.gt_s (local.get $url_len) (i32.const 4096))
      (then (return (call $fail (i32.const 2) (i32.const 64) (i32.const 22)))))
    (if (i32.lt_s (local.get $url_len) (i32.const 0))
      (then (local.set $url_len (i32.const 35))))
    ;; Two line feeds end a request without headers and body.
    (i32.store16 (i32.add (i32.const 1029) (local.get $url_len)) (i32.const 0x0a0a))
    (local.set $answer
      (call $http_request (i32.const 1024) (i32.add (local.get $url_len) (i32.const 7)) (i32.const 244) (i32.const 3)))
    (if (i32.eq (local.get $answer) (i32.const -2))
      (then (return (call $fail (i32.const 3) (i32.const 96) (i32.const 56)))))
    (if (i32.eq (local.get $answer) (i32.const -3))
      (then (return (call $fail (i32.const 3) (i32.const 160) (i32.const 23)))))
    (if (i32.lt_s (local.get $answer) (i32.const 3))
      (then (return (call $fail (i32.const 4) (i32.const 192) (i32.const 18)))))
    (if (i32.ne (i32.load8_u (i32.const 244)) (i32.const 50)) ;; '2'
      (then (return (call $fail (i32.const 1) (i32.const 224) (i32.const 23)))))
    (call $log (i32.const 2) (i32.const 16) (i32.const 17))
    (i32.const 0)))
