//! Options, where they come from, and what they come to (spec 12).

mod options;

pub use options::{
    Action, AnnounceDelay, DeclKind, ExecSpec, Exit, HookDecl, HttpSpec, NormalGrace, Options, Repeat, ReportTo, SignalRule,
    SignalSpec,
};
