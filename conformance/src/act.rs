//! What a program can be told to do, and the hooks that do it. The table in README.md explains each act.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
    Handle {
        ms: Option<u64>,
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

/// How a hook says that it is done (spec 8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// It returns.
    Sync,
    /// It completes later.
    Async,
}

/// A hook: `steps`, or one of the kinds that need no code.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// Its phase.
    pub phase: String,
    /// Its name.
    pub name: String,
    /// Its own form.
    pub form: Option<Form>,
    /// Its own limit in milliseconds.
    #[serde(rename(serialize = "timeout_ms"))]
    pub timeout: Option<u64>,
    /// Hooks it runs after.
    #[serde(default)]
    pub after: Vec<String>,
    /// Its outcome does not count.
    #[serde(default)]
    pub optional: bool,
    /// What its code does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Act>>,
    /// A command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<Value>,
    /// A request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<Value>,
    /// A pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Value>,
    /// Waits for a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inflight: Option<Value>,
    /// Sends a signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<Value>,
    /// WebAssembly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wasm: Option<Value>,
}

impl Hook {
    /// True when its code runs in the host, and so writes a trace.
    pub fn is_function(&self) -> bool {
        self.kinds() == 0
    }

    pub(crate) fn kinds(&self) -> usize {
        [&self.exec, &self.http, &self.delay, &self.inflight, &self.signal, &self.wasm].iter().filter(|k| k.is_some()).count()
    }

    /// Fills in what was not said.
    pub fn complete(&mut self, form: Form) {
        self.form.get_or_insert(form);
        if let Some(Value::String(path)) = &self.wasm {
            self.wasm = Some(serde_json::json!({ "path": path }));
        }
        if self.is_function() {
            for act in self.steps.get_or_insert_default() {
                act.complete(form);
            }
        }
    }
}
