//! Gives the shared library its soname, one number for each incompatible ABI, and binds its own symbols at link time: a host
//! that exports the same names must not get into our own calls (embedding G48).
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libgraceshut.so.0");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-Bsymbolic");
}
