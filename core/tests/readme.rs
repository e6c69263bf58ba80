//! Every program in the README is a file that the tests build and run: the text must be the file's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;

/// (file, block) for each `<!-- file: … -->` followed by a fenced block.
fn blocks(readme: &str) -> Vec<(String, String)> {
    readme
        .split("<!-- file: ")
        .skip(1)
        .map(|part| {
            let (file, rest) = part.split_once(" -->\n```").expect("a fenced block follows");
            let (_, body) = rest.split_once('\n').unwrap();
            (file.to_owned(), body.split("```").next().unwrap().to_owned())
        })
        .collect()
}

#[test]
fn the_readme_quotes_the_files_it_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for readme in ["README.md", "bindings-python/README.md", "bindings-node/README.md", "bindings-java/README.md"] {
        let path = root.join(readme);
        let mut text = fs::read_to_string(&path).unwrap();
        let found = blocks(&text);
        assert!(!found.is_empty() || readme != "README.md", "{readme} quotes no program");
        for (file, body) in found {
            let source = fs::read_to_string(root.join(&file)).unwrap_or_else(|e| panic!("{readme} names {file}: {e}"));
            if std::env::var_os("UPDATE").is_some() {
                let at = text.find(&format!("<!-- file: {file} -->")).unwrap();
                let begin = at + text[at..].find("```").unwrap();
                let begin = begin + text[begin..].find('\n').unwrap() + 1;
                text.replace_range(begin..begin + body.len(), &source);
                fs::write(&path, &text).unwrap();
            } else {
                assert_eq!(body, source, "{readme} quotes another {file}; UPDATE=1 cargo test --test readme rewrites it");
            }
        }
    }
}

#[test]
fn a_difference_is_found() {
    let found = blocks("x\n<!-- file: a.py -->\n```python\nprint(1)\n```\n");
    assert_eq!(found, [("a.py".to_owned(), "print(1)\n".to_owned())]);
}
