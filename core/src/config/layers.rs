//! Who said what, one over the other: environment, file, code. Key by key; tables by name and then key by key.

use std::path::PathBuf;
use std::time::Duration;

use super::env::{self, variable_of};
use super::options::{HookDecl, Options, SignalRule};
use super::origin::{Origin, Setting};
use super::sources::Sources;
use super::{check, file};
use crate::error::Error;
use crate::plan::PhasePatch;

/// The options of each source.
pub(super) struct Layers {
    env: Options,
    file: Option<(PathBuf, Options)>,
    code: Options,
}

impl Layers {
    /// Reads every source.
    pub(super) fn gather(code: Options, sources: &Sources) -> Result<Layers, Error> {
        check::options(&code)?;
        let environment = env::from_vars(&sources.vars)?;
        let file = file::load(environment.config.as_deref(), sources.dir.as_deref())?;
        let file = file.map(|(path, value)| file::options(path, &value)).transpose()?;
        Ok(Layers { env: environment.options, file, code })
    }

    /// The topmost value of `key`, as `get` finds it in one source's options.
    pub(super) fn find<T>(&self, key: &str, get: impl Fn(&Options) -> Option<T>) -> Option<Setting<T>> {
        let (options, origin) = self.topmost(key, &|o| get(o).is_some())?;
        get(options).map(|value| Setting::new(value, origin))
    }

    /// Who said something about `key`. Once for all types of values: it is a large part of the library otherwise.
    #[inline(never)]
    fn topmost(&self, key: &str, said: &dyn Fn(&Options) -> bool) -> Option<(&Options, Origin)> {
        if said(&self.env) {
            return Some((&self.env, Origin::Environment(variable_of(key))));
        }
        match &self.file {
            Some((path, options)) if said(options) => Some((options, Origin::File(path.clone()))),
            _ => said(&self.code).then_some((&self.code, Origin::Code)),
        }
    }

    /// As [`find`](Layers::find), with a value for when nobody said anything. A function pointer: once for a type, not for a key.
    #[inline(never)]
    pub(super) fn pick<T>(&self, key: &str, get: fn(&Options) -> Option<T>, default: T) -> Setting<T> {
        self.find(key, get).unwrap_or(Setting::new(default, Origin::Default))
    }

    /// The rule for a signal, and its own grace; a grace counts only for the action it was given with.
    pub(super) fn signal(&self, signo: i32) -> Option<(Setting<SignalRule>, Option<Setting<Duration>>)> {
        let rule = |o: &Options| o.signals.iter().find(|r| r.signo == signo).copied();
        let top = self.find("signals", rule)?;
        let grace = self.find("signals", |o| rule(o).filter(|r| r.action == top.value.action)?.grace);
        Some((top, grace))
    }

    /// Every signal that anybody named.
    pub(super) fn named_signals(&self) -> impl Iterator<Item = i32> {
        self.all().flat_map(|o| o.signals.iter().map(|r| r.signo))
    }

    /// The patches of every phase: the program's in its order, then those only the file knows. A name that one source gives
    /// twice stays there twice, for the plan to refuse.
    pub(super) fn phases(&self) -> Vec<(String, PhasePatch)> {
        let mut phases = self.code.phases.clone();
        for (name, over) in self.file.iter().flat_map(|(_, o)| &o.phases) {
            match phases.iter_mut().find(|(n, _)| n == name) {
                Some((_, under)) => *under = laid_over(over, under),
                None => phases.push((name.clone(), over.clone())),
            }
        }
        phases
    }

    /// Who said what `has` looks for in the patch of phase `name`.
    pub(super) fn phase_origin(&self, name: &str, has: impl Fn(&PhasePatch) -> bool) -> Origin {
        let said = |o: &Options| o.phases.iter().any(|(n, p)| n == name && has(p)).then_some(());
        self.find("phases", said).map_or(Origin::Default, |s| s.origin)
    }

    /// The declared hooks, the file's first.
    pub(super) fn hooks(&self) -> Vec<Setting<HookDecl>> {
        let mut hooks = Vec::new();
        if let Some((path, o)) = &self.file {
            hooks.extend(o.hooks.iter().map(|h| Setting::new(h.clone(), Origin::File(path.clone()))));
        }
        hooks.extend(self.code.hooks.iter().map(|h| Setting::new(h.clone(), Origin::Code)));
        hooks
    }

    fn all(&self) -> impl Iterator<Item = &Options> {
        self.file.iter().map(|(_, o)| o).chain([&self.code])
    }
}

fn laid_over(over: &PhasePatch, under: &PhasePatch) -> PhasePatch {
    PhasePatch {
        cap: over.cap.or(under.cap),
        reserve: over.reserve.or(under.reserve),
        order: over.order.or(under.order),
        on_failure: over.on_failure.or(under.on_failure),
        enabled: over.enabled.or(under.enabled),
        before: over.before.clone().or_else(|| under.before.clone()),
        after: over.after.clone().or_else(|| under.after.clone()),
    }
}
