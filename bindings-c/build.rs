//! Gives the shared library its soname: one number for each incompatible ABI.
fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libgraceshut.so.0");
}
