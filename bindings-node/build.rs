//! Tells the linker that napi_* come from Node.
fn main() {
    napi_build::setup();
}
