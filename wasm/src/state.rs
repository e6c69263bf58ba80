//! What hooks of one shutdown hand to each other: a small table of bytes, 64 KiB in all.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

const LIMIT: usize = 64 << 10;

#[derive(Default)]
struct Table {
    /// The install it belongs to; another one begins with nothing.
    run: String,
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    size: usize,
}

static TABLE: Mutex<Table> = Mutex::new(Table { run: String::new(), entries: BTreeMap::new(), size: 0 });

fn table(run: &str) -> MutexGuard<'static, Table> {
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    if table.run != run {
        *table = Table { run: run.to_owned(), ..Table::default() };
    }
    table
}

pub(crate) fn get(run: &str, key: &[u8]) -> Option<Vec<u8>> {
    table(run).entries.get(key).cloned()
}

/// False when the table would grow past its limit.
pub(crate) fn put(run: &str, key: &[u8], value: &[u8]) -> bool {
    let mut table = table(run);
    let old = table.entries.get(key).map_or(0, |v| key.len() + v.len());
    let size = table.size - old + key.len() + value.len();
    if size > LIMIT {
        return false;
    }
    table.size = size;
    table.entries.insert(key.to_owned(), value.to_owned());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_64_kib_and_forgets_with_the_run() {
        assert!(put("a", b"k", &[1; 60 << 10]));
        assert!(!put("a", b"l", &[1; 8 << 10]), "the table is full");
        assert!(put("a", b"k", b"small"), "replacing gives room back");
        assert!(put("a", b"l", &[1; 8 << 10]));
        assert_eq!(get("a", b"k").as_deref(), Some(&b"small"[..]));
        assert_eq!(get("b", b"k"), None, "another install begins with nothing");
    }
}
