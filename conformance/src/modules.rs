//! WebAssembly that a scenario puts into the working folder.

use std::path::Path;

use serde::Deserialize;

/// One file.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields, expecting = "a module is text in WAT, or a table that says copy or functions")]
pub enum Module {
    /// Text in WAT; what is no WAT is written as it is: a file that is no WebAssembly.
    Text(String),
    /// A file of the repository.
    Copy {
        /// Its path from the root.
        copy: String,
    },
    /// A valid hook that takes long to compile.
    Large {
        /// How many functions it has, each of some two hundred instructions.
        functions: usize,
    },
}

impl Module {
    /// What is in the file.
    ///
    /// # Errors
    /// Words that say what is wrong with it.
    pub fn bytes(&self, root: &Path) -> Result<Vec<u8>, String> {
        match self {
            Module::Text(text) if !text.trim_start().starts_with('(') => Ok(text.clone().into_bytes()),
            Module::Text(text) => wat::parse_str(text).map_err(|e| e.to_string()),
            Module::Copy { copy } => std::fs::read(root.join(copy)).map_err(|e| format!("{copy}: {e}")),
            Module::Large { functions } => Ok(large(*functions)),
        }
    }
}

/// Written as bytes: text of that size would take the runner longer than the compiler.
fn large(functions: usize) -> Vec<u8> {
    // i32.load of 8 multiplied by 3 and added to the parameter, thirty times; then the parameter.
    const STEP: [u8; 13] = [0x20, 0, 0x41, 8, 0x28, 2, 0, 0x41, 3, 0x6c, 0x6a, 0x21, 0];
    let mut body = vec![0];
    body.extend((0..30).flat_map(|_| STEP));
    body.extend([0x20, 0, 0x0b]);
    let mut code = number(functions + 1);
    // The hook itself: i32.const 0.
    code.extend([4, 0, 0x41, 0, 0x0b]);
    let body = [number(body.len()), body].concat();
    (0..functions).for_each(|_| code.extend(&body));
    let types = vec![1, 0x60, 1, 0x7f, 1, 0x7f];
    let all = [number(functions + 1), vec![0; functions + 1]].concat();
    let exports = [&[2, 3][..], b"run", &[0, 0, 6], b"memory", &[2, 0]].concat();
    let sections = [(1, types), (3, all), (5, vec![1, 0, 1]), (7, exports), (10, code)];
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    for (id, content) in sections {
        module.push(id);
        module.extend(number(content.len()));
        module.extend(content);
    }
    module
}

/// LEB128.
fn number(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (n & 0x7f) as u8;
        n >>= 7;
        if n == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_leb128() {
        assert_eq!(number(0), [0]);
        assert_eq!(number(127), [0x7f]);
        assert_eq!(number(624_485), [0xe5, 0x8e, 0x26]);
    }

    #[test]
    fn what_is_no_wat_stays_as_it_is() {
        let bytes = |m: Module| m.bytes(Path::new("/nowhere"));
        assert_eq!(bytes(Module::Text("no wasm".to_owned())).unwrap(), b"no wasm");
        assert_eq!(bytes(Module::Text("(module)".to_owned())).unwrap(), b"\0asm\x01\0\0\0");
        assert!(bytes(Module::Text("(nonsense)".to_owned())).is_err());
        assert!(bytes(Module::Copy { copy: "x.wasm".to_owned() }).unwrap_err().contains("x.wasm"));
        assert!(bytes(Module::Large { functions: 200 }).unwrap().len() > 200 * 394);
    }
}
