//! The world `graceshut:hook/hook`: how a component asks the host, beside WASI 0.2. `wit/hook.wit` says what there is.

use graceshut::ReasonKind;
use wasmtime::component::{HasData, HasSelf, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random, sockets};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
use wasmtime_wasi::{WasiCtxView, WasiView};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::guest::Guest;
use crate::http::{Refused, Request};

mod wit {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "hook-with-http",
        imports: { "graceshut:hook/http.http-request": async },
        exports: { default: async },
    });
}

pub(crate) use wit::HookWithHttpPre as HookPre;
pub(crate) use wit::graceshut::hook::host::ReasonKind as Reason;
use wit::graceshut::hook::{host, http};

/// The package of WIT that hooks import from.
pub(crate) const PACKAGE: &str = "graceshut:hook";
/// Its version.
pub(crate) const VERSION: &str = "0.1.0";

/// The type of `run`.
pub(crate) const RUN: &str =
    "func(enum { signal, stop, host-end, uncaught, prestop, parent-death, stdin-eof }) -> result<_, string>";

/// Every function, with its interface and its type in words.
pub(crate) const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("host", "log", "func(enum { trace, debug, info, warning, error }, string)"),
    ("host", "remaining-ms", "func() -> option<u64>"),
    ("host", "cancelled", "func() -> bool"),
    ("host", "extend", "func(u64) -> u64"),
    ("host", "progress", "func(u64, option<u64>)"),
    ("host", "reason", "func() -> enum { signal, stop, host-end, uncaught, prestop, parent-death, stdin-eof }"),
    ("host", "signal-number", "func() -> option<u8>"),
    ("host", "context-read", "func(string) -> option<string>"),
    ("host", "set-error", "func(string)"),
    ("host", "state-put", "func(string, list<u8>) -> result<_, string>"),
    ("host", "state-get", "func(string) -> option<list<u8>>"),
    (
        "http",
        "http-request",
        "func(record { method: string, url: string, headers: list<tuple<string, string>>, body: list<u8> }) \
         -> result<record { status: u16, headers: list<tuple<string, string>>, body: list<u8> }, \
         variant { denied: string, malformed: string, too-large: string, failed: string }>",
    ),
];

pub(crate) fn reason(kind: ReasonKind) -> Reason {
    match kind {
        ReasonKind::Signal => Reason::Signal,
        ReasonKind::Stop => Reason::Stop,
        ReasonKind::HostEnd => Reason::HostEnd,
        ReasonKind::Uncaught => Reason::Uncaught,
        ReasonKind::Prestop => Reason::Prestop,
        ReasonKind::ParentDeath => Reason::ParentDeath,
        ReasonKind::StdinEof => Reason::StdinEof,
    }
}

impl host::Host for Guest {
    fn log(&mut self, level: host::Level, line: String) {
        let level = match level {
            host::Level::Trace => 0,
            host::Level::Debug => 1,
            host::Level::Info => 2,
            host::Level::Warning => 3,
            host::Level::Error => 4,
        };
        self.say(level, line.as_bytes());
    }

    fn remaining_ms(&mut self) -> Option<u64> {
        Guest::remaining_ms(self)
    }

    fn cancelled(&mut self) -> bool {
        self.context.cancelled()
    }

    fn extend(&mut self, ms: u64) -> u64 {
        Guest::extend(self, ms)
    }

    fn progress(&mut self, done: u64, total: Option<u64>) {
        self.context.progress(done, total.unwrap_or(0));
    }

    fn reason(&mut self) -> Reason {
        reason(self.context.reason().kind)
    }

    fn signal_number(&mut self) -> Option<u8> {
        self.context.reason().signo.and_then(|n| u8::try_from(n).ok())
    }

    fn context_read(&mut self, key: String) -> Option<String> {
        self.context_value(key.as_bytes())
    }

    fn set_error(&mut self, text: String) {
        Guest::set_error(self, text.as_bytes());
    }

    fn state_put(&mut self, key: String, value: Vec<u8>) -> Result<(), String> {
        let full = || "there is no room: hooks of one shutdown keep 64 KiB in all".to_owned();
        if Guest::state_put(self, key.as_bytes(), &value) { Ok(()) } else { Err(full()) }
    }

    fn state_get(&mut self, key: String) -> Option<Vec<u8>> {
        Guest::state_get(self, key.as_bytes())
    }
}

impl http::Host for Guest {
    async fn http_request(&mut self, asked: http::Request) -> Result<http::Response, http::Failure> {
        let request = Request::of((&asked.method, &asked.url), &asked.headers, &asked.body, &self.http);
        match self.request(request).await {
            Ok(a) => Ok(http::Response { status: a.status, headers: a.headers, body: a.body }),
            Err((refused, why)) => Err(match refused {
                Refused::Malformed => http::Failure::Malformed(why),
                Refused::Denied => http::Failure::Denied(why),
                Refused::Failed => http::Failure::Failed(why),
                Refused::TooLarge => http::Failure::TooLarge(why),
            }),
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi().ctx()
    }
}

struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

/// Interfaces of WASI, one by one: whichever of them a guest hangs in, the report names.
macro_rules! interfaces {
    ($($name:literal: $package:ident::$interface:ident($($options:expr)?), $data:ty, $get:path;)*) => {
        /// What there is of WASI 0.2. All that a guest can do by them was granted: folders, variables, clocks, random numbers.
        /// Sockets are there because languages' runtimes import them; each of their functions answers that access is denied.
        pub(crate) const INTERFACES: &[&str] = &[$($name),*];

        fn link_wasi(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
            $($package::$interface::add_to_linker::<Guest, $data>(linker, $($options,)? |guest| {
                guest.at = Some($name);
                $get(guest)
            })?;)*
            Ok(())
        }
    };
}

interfaces! {
    "wasi:cli/environment": cli::environment(), WasiCli, WasiCliView::cli;
    "wasi:cli/exit": cli::exit(), WasiCli, WasiCliView::cli;
    "wasi:cli/stdin": cli::stdin(), WasiCli, WasiCliView::cli;
    "wasi:cli/stdout": cli::stdout(), WasiCli, WasiCliView::cli;
    "wasi:cli/stderr": cli::stderr(), WasiCli, WasiCliView::cli;
    "wasi:cli/terminal-input": cli::terminal_input(), WasiCli, WasiCliView::cli;
    "wasi:cli/terminal-output": cli::terminal_output(), WasiCli, WasiCliView::cli;
    "wasi:cli/terminal-stdin": cli::terminal_stdin(), WasiCli, WasiCliView::cli;
    "wasi:cli/terminal-stdout": cli::terminal_stdout(), WasiCli, WasiCliView::cli;
    "wasi:cli/terminal-stderr": cli::terminal_stderr(), WasiCli, WasiCliView::cli;
    "wasi:clocks/monotonic-clock": clocks::monotonic_clock(), WasiClocks, WasiClocksView::clocks;
    "wasi:clocks/wall-clock": clocks::wall_clock(), WasiClocks, WasiClocksView::clocks;
    "wasi:filesystem/preopens": filesystem::preopens(), WasiFilesystem, WasiFilesystemView::filesystem;
    "wasi:filesystem/types": filesystem::types(), WasiFilesystem, WasiFilesystemView::filesystem;
    "wasi:io/error": io::error(), HasTable, table;
    "wasi:io/poll": io::poll(), HasTable, table;
    "wasi:io/streams": io::streams(), HasTable, table;
    "wasi:random/insecure": random::insecure(), WasiRandom, WasiRandomView::random;
    "wasi:random/insecure-seed": random::insecure_seed(), WasiRandom, WasiRandomView::random;
    "wasi:random/random": random::random(), WasiRandom, WasiRandomView::random;
    "wasi:sockets/instance-network": sockets::instance_network(), WasiSockets, WasiSocketsView::sockets;
    "wasi:sockets/ip-name-lookup": sockets::ip_name_lookup(), WasiSockets, WasiSocketsView::sockets;
    "wasi:sockets/network": sockets::network(&sockets::network::LinkOptions::default()), WasiSockets, WasiSocketsView::sockets;
    "wasi:sockets/tcp": sockets::tcp(), WasiSockets, WasiSocketsView::sockets;
    "wasi:sockets/tcp-create-socket": sockets::tcp_create_socket(), WasiSockets, WasiSocketsView::sockets;
    "wasi:sockets/udp": sockets::udp(), WasiSockets, WasiSocketsView::sockets;
    "wasi:sockets/udp-create-socket": sockets::udp_create_socket(), WasiSockets, WasiSocketsView::sockets;
}

fn table(guest: &mut Guest) -> &mut ResourceTable {
    guest.wasi().ctx().table
}

/// Adds all there is.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    link_wasi(linker)?;
    host::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| guest)?;
    http::add_to_linker::<Guest, HasSelf<Guest>>(linker, |guest| {
        guest.at = Some("http-request");
        guest
    })
}
