//! Components in text, small enough to be read.

use graceshut_wasm::Wasm;

use super::wat;

const REASONS: &str = r#"(enum "signal" "stop" "host-end" "uncaught" "prestop" "parent-death" "stdin-eof")"#;

/// Every function of the interface `host`, with its type: what the host has is looked at when it is linked.
pub const HOST: &[(&str, &str)] = &[
    ("log", r#"(param "level" $level) (param "line" string)"#),
    ("remaining-ms", "(result (option u64))"),
    ("cancelled", "(result bool)"),
    ("extend", r#"(param "ms" u64) (result u64)"#),
    ("progress", r#"(param "done" u64) (param "total" (option u64))"#),
    ("reason", "(result $reason-kind)"),
    ("signal-number", "(result (option u8))"),
    ("context-read", r#"(param "key" string) (result (option string))"#),
    ("set-error", r#"(param "text" string)"#),
    ("state-put", r#"(param "key" string) (param "value" (list u8)) (result (result (error string)))"#),
    ("state-get", r#"(param "key" string) (result (option (list u8)))"#),
];

/// A component that imports these functions of `host` (and `others`, made of `before`) and whose `run` is `body`: it has
/// $reason, returns where the result lies, and has 32 bytes of zeroes there at 16, which mean ok. Memory at 1024 is what
/// the host's results are put into, from 2048 on.
pub struct Guest<'a> {
    pub host: &'a [&'a str],
    pub before: &'a str,
    /// `(name, core type)` of functions lowered in `before` as `$name`.
    pub others: &'a [(&'a str, &'a str)],
    pub within: &'a str,
    pub body: &'a str,
}

pub const NOTHING: Guest<'static> = Guest { host: &[], before: "", others: &[], within: "", body: "(i32.const 16)" };

/// The core type of a function of `host`.
fn core(function: &str) -> &'static str {
    match function {
        "log" => "(param i32 i32 i32)",
        "cancelled" | "reason" => "(result i32)",
        "extend" => "(param i64) (result i64)",
        "progress" => "(param i64 i32 i64)",
        "set-error" => "(param i32 i32)",
        "context-read" | "state-get" => "(param i32 i32 i32)",
        "state-put" => "(param i32 i32 i32 i32 i32)",
        _ => "(param i32)",
    }
}

impl Guest<'_> {
    pub fn text(&self) -> String {
        let exports: String = self
            .host
            .iter()
            .map(|name| {
                let ty = HOST.iter().find(|(n, _)| n == name).unwrap().1;
                format!("(export \"{name}\" (func {ty}))\n")
            })
            .collect();
        let lowered: String = self
            .host
            .iter()
            .map(|name| {
                format!(
                    "(core func ${name} (canon lower (func $host \"{name}\") (memory $memory) (realloc (core func $libc \"realloc\"))))\n"
                )
            })
            .collect();
        let all = self.host.iter().map(|name| (*name, core(name))).chain(self.others.iter().copied());
        let (mut imports, mut given) = (String::new(), String::new());
        for (name, ty) in all {
            imports += &format!("(import \"host\" \"{name}\" (func ${name} {ty}))\n");
            given += &format!("(export \"{name}\" (func ${name}))\n");
        }
        format!(
            r#"(component
            (import "graceshut:hook/host@0.1.0" (instance $host
              (type $r' {REASONS}) (export "reason-kind" (type $reason-kind (eq $r')))
              (type $l' (enum "trace" "debug" "info" "warning" "error")) (export "level" (type $level (eq $l')))
              {exports}))
            (alias export $host "reason-kind" (type $reason-kind'))
            (import "reason-kind" (type $reason-kind (eq $reason-kind')))
            (core module $Libc (memory (export "memory") 1) (global $top (mut i32) (i32.const 2048))
              (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $top) (global.set $top (i32.add (global.get $top) (i32.and (i32.add (local.get 3) (i32.const 15))
                (i32.const -16))))))
            (core instance $libc (instantiate $Libc))
            (alias core export $libc "memory" (core memory $memory))
            {before}
            {lowered}
            (core module $Main {imports} (import "libc" "memory" (memory 1)) {within}
              (func $run (export "run") (param $reason i32) (result i32) {body}))
            (core instance $main (instantiate $Main (with "libc" (instance $libc)) (with "host" (instance {given}))))
            (func (export "run") (param "reason" $reason-kind) (result (result (error string)))
              (canon lift (core func $main "run") (memory $memory))))"#,
            before = self.before,
            within = self.within,
            body = self.body,
        )
    }

    pub fn bytes(&self) -> Vec<u8> {
        wat(&self.text())
    }

    pub fn wasm(&self) -> Wasm {
        Wasm::bytes(self.bytes())
    }
}

/// Stores an error at 16, whose text begins at `at`, and returns it.
pub fn error(at: i32, len: usize) -> String {
    format!(
        "(i32.store8 (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const {at}))
        (i32.store (i32.const 24) (i32.const {len})) (i32.const 16)"
    )
}
