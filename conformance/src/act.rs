//! What a program can be told to do. The table in README.md explains each.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::scenario::{Form, Hook};

/// One act. `None` goes to the driver as null.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[allow(missing_docs, reason = "the table in README.md is their documentation")]
pub enum Act {
    Mark {
        name: String,
    },
    Sleep {
        ms: u64,
    },
    SleepThrough {
        ms: u64,
    },
    UntilCancelled {
        ms: u64,
    },
    Spin {
        ms: u64,
    },
    Block {
        ms: u64,
    },
    Hold {
        ms: u64,
    },
    Never {},
    Fail {
        message: String,
    },
    Cancelled {},
    Panic {
        message: String,
    },
    Exit {
        code: i32,
    },
    Return {},
    Raise {
        message: String,
    },
    Fatal {
        how: Fatal,
    },
    Stop {
        #[serde(default)]
        reason: String,
        grace_ms: Option<u64>,
    },
    Register {
        hook: Box<Hook>,
    },
    Remove {
        name: String,
    },
    Extend {
        ms: u64,
    },
    Progress {
        done: u64,
        total: u64,
    },
    Log {
        message: String,
    },
    Enter {
        r#as: String,
        group: Option<String>,
    },
    Part {
        of: String,
        r#as: String,
    },
    Leave {
        of: String,
    },
    Count {
        group: Option<String>,
    },
    Word {},
    State {},
    Ready {},
    Install {
        options: Option<Map<String, Value>>,
    },
    Uninstall {},
    Wait {},
    Abandoned {},
    Remaining {},
    Caught {
        name: String,
    },
}

/// The ends that ask nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Fatal {
    /// `_exit(4)`.
    #[serde(rename = "_exit")]
    Exit,
    /// `abort()`.
    #[serde(rename = "abort")]
    Abort,
}

impl Act {
    /// Its `do`.
    pub fn word(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value.get("do").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// True for what only the main thread can do.
    pub fn is_mains(&self) -> bool {
        matches!(self, Act::Return {} | Act::Exit { .. } | Act::Raise { .. } | Act::Hold { .. })
    }

    /// Fills in what was not said.
    pub fn complete(&mut self, form: Form) {
        if let Act::Register { hook } = self {
            hook.complete(form);
        }
    }
}
