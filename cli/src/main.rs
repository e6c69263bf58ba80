//! `graceshut`: everything but the engine for WebAssembly.

fn main() -> std::process::ExitCode {
    graceshut_cli::main(None)
}
