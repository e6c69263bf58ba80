//! `graceshut-wasm`: `graceshut` with the engine for WebAssembly.

fn main() -> std::process::ExitCode {
    graceshut_cli::main(Some(graceshut_cli::ENGINE))
}
