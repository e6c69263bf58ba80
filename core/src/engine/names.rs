//! Names as `after` sees them (spec 4.4): all hooks of one name in one phase, who waits for them, and the chains they form.
//! Everything is linked up at registration; a run only counts up and down.

use std::collections::HashMap;

use super::Engine;
use super::registry::{HookId, HookSpec, Step};

/// One name in one phase.
#[derive(Debug, Default)]
pub(super) struct Name {
    /// The hooks that have it, and how many of them were not removed.
    members: Vec<HookId>,
    live: u32,
    /// The hooks that name it in `after`.
    waiters: Vec<HookId>,
    /// Hooks of this name that the running phase has not seen end.
    open: u32,
    /// Hooks on the longest chain up to and with this name, and behind it (spec 4.6); 0 where no chain was measured.
    depth: u32,
    below: u32,
    /// Work of [`Engine::measure_chains`]: edges into this name that have not been walked.
    edges: u32,
}

/// The hooks and names of one phase.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// In registration order.
    pub(super) hooks: Vec<HookId>,
    /// How many of them were not removed.
    pub(super) live: usize,
    index: HashMap<String, u32>,
    names: Vec<Name>,
    /// Set aside for [`Engine::measure_chains`].
    order: Vec<u32>,
}

impl Roster {
    fn intern(&mut self, name: &str) -> u32 {
        if let Some(n) = self.index.get(name) {
            return *n;
        }
        let n = self.names.len() as u32;
        self.index.insert(name.to_owned(), n);
        self.names.push(Name::default());
        self.order.reserve(self.names.len());
        n
    }

    /// Enters a hook: its own name and the ones it waits for, each once.
    pub(super) fn enter(&mut self, id: HookId, spec: &HookSpec) -> (u32, Box<[u32]>) {
        self.hooks.push(id);
        self.live += 1;
        let own = self.intern(&spec.name);
        self.names[own as usize].members.push(id);
        self.names[own as usize].live += 1;
        let mut awaits: Vec<u32> = Vec::with_capacity(spec.after.len());
        for name in &spec.after {
            let n = self.intern(name);
            if let Err(at) = awaits.binary_search(&n) {
                awaits.insert(at, n);
            }
        }
        for n in &awaits {
            self.names[*n as usize].waiters.push(id);
        }
        (own, awaits.into_boxed_slice())
    }

    /// A hook of that name was removed.
    pub(super) fn strike(&mut self, name: u32) {
        self.live = self.live.saturating_sub(1);
        let live = &mut self.names[name as usize].live;
        *live = live.saturating_sub(1);
    }

    /// Hooks behind `name` on its longest chain, and on that whole chain; (0, 0) outside a chain.
    pub(super) fn chain(&self, name: u32) -> (usize, usize) {
        let Name { depth, below, .. } = self.names[name as usize];
        if depth + below > 1 { (below as usize, (depth + below) as usize) } else { (0, 0) }
    }
}

impl Engine {
    /// The name in `spec.after` that leads back to `spec`'s own name, if one does.
    pub(super) fn closes_circle(&self, spec: &HookSpec) -> Option<String> {
        if spec.after.contains(&spec.name) {
            return Some(spec.name.clone());
        }
        let roster = &self.rosters[spec.phase];
        let own = *roster.index.get(&spec.name)?;
        let live = |id: &&HookId| self.hook(**id).is_live();
        if !roster.names[own as usize].waiters.iter().any(|id| live(&id)) {
            return None; // nobody waits for this name, so no way leads back to it
        }
        let mut seen = vec![false; roster.names.len()];
        for first in &spec.after {
            let mut todo: Vec<u32> = roster.index.get(first).copied().into_iter().collect();
            while let Some(n) = todo.pop() {
                if n == own {
                    return Some(first.clone());
                }
                if !std::mem::replace(&mut seen[n as usize], true) {
                    let members = roster.names[n as usize].members.iter().filter(live);
                    todo.extend(members.flat_map(|id| self.hook(*id).awaits.iter().copied()));
                }
            }
        }
        None
    }

    /// True when `id` waits for a name or its own is waited for.
    pub(super) fn is_chained(&self, id: HookId) -> bool {
        let hook = self.hook(id);
        !hook.awaits.is_empty() || !self.rosters[hook.spec.phase].names[hook.name as usize].waiters.is_empty()
    }

    /// A hook of the running phase begins to wait for its turn: who waits for its name has to wait for it too.
    pub(super) fn line_up(&mut self, id: HookId) {
        let hook = &mut self.hooks[id.index()];
        hook.step = Step::Waiting;
        let name = &mut self.rosters[hook.spec.phase].names[hook.name as usize];
        name.open += 1;
        if name.open > 1 {
            return;
        }
        for waiter in &name.waiters {
            let waiter = &mut self.hooks[waiter.index()];
            if waiter.step == Step::Waiting {
                waiter.blockers += 1;
            }
        }
    }

    /// Counts what a hook that was lined up waits for. False when a name in its `after` is unknown (spec 4.4).
    pub(super) fn count_blockers(&mut self, id: HookId) -> bool {
        let (mut open, mut known) = (0, true);
        let roster = &self.rosters[self.hook(id).spec.phase];
        for n in &self.hook(id).awaits {
            let name = &roster.names[*n as usize];
            open += u32::from(name.open > 0);
            known &= name.live > 0;
        }
        self.hook_mut(id).blockers = open;
        known
    }

    /// A lined-up hook has ended or was removed: what waited for its name may become ready.
    pub(super) fn count_off(&mut self, id: HookId) {
        let Engine { hooks, rosters, .. } = self;
        let hook = &hooks[id.index()];
        let (phase, name) = (hook.spec.phase, hook.name as usize);
        let open = &mut rosters[phase].names[name].open;
        *open = open.saturating_sub(1);
        if *open > 0 {
            return;
        }
        for k in 0..self.rosters[phase].names[name].waiters.len() {
            let waiter = self.rosters[phase].names[name].waiters[k];
            let hook = self.hook_mut(waiter);
            if hook.step == Step::Waiting && hook.blockers > 0 {
                hook.blockers -= 1;
                self.make_ready(waiter);
            }
        }
    }

    /// Measures the longest chain through every name of phase `i` (spec 4.6): one walk along the edges, no allocation.
    pub(super) fn measure_chains(&mut self, i: usize) {
        let Engine { hooks, rosters, .. } = self;
        let Roster { hooks: ids, names, order, .. } = &mut rosters[i];
        order.clear();
        for name in names.iter_mut() {
            (name.depth, name.below, name.edges) = (0, 0, 0);
        }
        for id in ids.iter() {
            let hook = &hooks[id.index()];
            if hook.is_live() {
                let name = &mut names[hook.name as usize];
                name.depth = 1;
                name.edges += hook.awaits.len() as u32;
            }
        }
        order.extend((0u32..).zip(names.iter()).filter(|(_, name)| name.edges == 0).map(|(n, _)| n));
        let mut k = 0;
        while let Some(&n) = order.get(k) {
            k += 1;
            for w in 0..names[n as usize].waiters.len() {
                let waiter = &hooks[names[n as usize].waiters[w].index()];
                if !waiter.is_live() {
                    continue;
                }
                let depth = names[n as usize].depth + 1;
                let next = &mut names[waiter.name as usize];
                next.depth = next.depth.max(depth);
                next.edges -= 1;
                if next.edges == 0 {
                    order.push(waiter.name);
                }
            }
        }
        for &n in order.iter().rev() {
            for w in 0..names[n as usize].waiters.len() {
                let waiter = &hooks[names[n as usize].waiters[w].index()];
                if waiter.is_live() {
                    let below = names[waiter.name as usize].below + 1;
                    let name = &mut names[n as usize];
                    name.below = name.below.max(below);
                }
            }
        }
    }
}
