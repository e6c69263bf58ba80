//! How the copies of graceshut in one process find each other and elect one leader (spec 3.1; embedding G43-G48).
//!
//! Each copy carries an ELF note named `graceshut` whose content is the distance from itself to the copy's [`Header`]:
//! no relocation, no exported symbol, hence visible in stripped executables and in `RTLD_LOCAL` libraries alike.
//! Not visible: copies in another `dlmopen` namespace (G44), and binaries whose notes were stripped or packed.
//!
//! Invariants:
//! 1. At most one copy per process is `ACTIVE` with the process's pid and says that it is alive.
//! 2. `ACTIVE` is set only while holding the elector word of the lowest-addressed copy, after a scan made under it that
//!    found no other `ELECTING` or `ACTIVE` copy of this pid. `ELECTING` is set before that scan (both sequentially
//!    consistent), so that of two electors who saw different sets of copies at least one sees the other.
//! 3. Nothing waits without a limit: a word left behind by a thread that fork did not copy is taken over.

use std::ffi::c_void;
use std::mem::{align_of, offset_of, size_of};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use super::{fork, objects, pin, raw};
use crate::clock::At;
use crate::error::{Error, ErrorKind};

/// Changes when copies can no longer work together.
pub const ABI_MAJOR: u32 = 1;

const MAGIC: u64 = u64::from_le_bytes(*b"gr4cshut");
const NOTE_NAME: &[u8] = b"graceshut\0";
const NOTE_TYPE: u32 = 1;

/// No shutdown here.
pub const IDLE: u32 = 0;
/// Wants to lead.
pub const ELECTING: u32 = 1;
/// Leads.
pub const ACTIVE: u32 = 2;

/// A disposition as it crosses copies: handler, flags, restorer, mask.
pub type Disposition = [u64; 4];
/// Where `handler` is an entry of the copy: answers 1 and writes what lies under it for the signal. Else 0.
pub type SavedFn = unsafe extern "C" fn(handler: usize, signo: i32, out: *mut Disposition) -> i32;

/// How many entries a copy's signal handler has (`signal::entry`).
pub const ENTRIES: usize = 16;
/// How far from each other they begin.
pub const ENTRY_BYTES: usize = 16;

/// What every copy shows to the others. ABI: fields are only ever appended, also when `abi_major` changes, so that
/// incompatible copies can at least tell that they are.
#[repr(C)]
#[derive(Debug)]
pub struct Header {
    magic: u64,
    abi_major: u32,
    /// Size of this struct in the copy that holds it.
    size: u32,
    owner_pid: AtomicU32,
    state: AtomicU32,
    /// Pid of whoever is electing now; meaningful in the lowest-addressed copy.
    elector: AtomicU32,
    /// Size of what `table` points to.
    table_size: AtomicU32,
    version: [u8; 32],
    alive: unsafe extern "C" fn() -> u32,
    /// Address of the first of the [`ENTRIES`] of the copy's signal handler, 0 before it first armed.
    handler: AtomicUsize,
    /// A [`SavedFn`], 0 before it first armed.
    saved: AtomicUsize,
    /// The leader's functions; null before [`Header::publish`].
    table: AtomicPtr<c_void>,
}

/// Where [`Header`]'s fields lie, for a look from another process.
pub(super) struct HeaderLayout {
    pub(super) abi_major: usize,
    pub(super) size: usize,
    pub(super) owner_pid: usize,
    pub(super) state: usize,
    pub(super) version: usize,
    pub(super) handler: usize,
}

pub(super) const HEADER: HeaderLayout = HeaderLayout {
    abi_major: offset_of!(Header, abi_major),
    size: offset_of!(Header, size),
    owner_pid: offset_of!(Header, owner_pid),
    state: offset_of!(Header, state),
    version: offset_of!(Header, version),
    handler: offset_of!(Header, handler),
};

const fn version() -> [u8; 32] {
    let from = env!("CARGO_PKG_VERSION").as_bytes();
    let mut to = [0; 32];
    let mut i = 0;
    while i < from.len() && i < to.len() - 1 {
        to[i] = from[i];
        i += 1;
    }
    to
}

unsafe extern "C" fn alive() -> u32 {
    u32::from(fork::is_owner_certain())
}

/// This copy's header. Reached by other copies through the note only (G48: nothing is exported).
static OWN: Header = Header {
    magic: MAGIC,
    abi_major: ABI_MAJOR,
    size: size_of::<Header>() as u32,
    owner_pid: AtomicU32::new(0),
    state: AtomicU32::new(IDLE),
    elector: AtomicU32::new(0),
    table_size: AtomicU32::new(0),
    version: version(),
    alive,
    handler: AtomicUsize::new(0),
    saved: AtomicUsize::new(0),
    table: AtomicPtr::new(ptr::null_mut()),
};

// The note. `.hidden` keeps the reference resolvable at link time when this is linked into a shared object as a static
// library (two copies must not bind to one header). The note has no label of its own: two versions of this crate may be
// linked into one program. It is kept because it shares its object file with OWN, which `elect` needs, and because
// linkers do not garbage-collect notes (measured in G44; tested in tests/process_rendezvous.rs).
#[cfg(target_os = "linux")]
std::arch::global_asm!(
    ".hidden {own}",
    ".pushsection .note.graceshut, \"a\", @note",
    ".balign 4",
    ".long 10",
    ".long 8",
    ".long 1",
    ".asciz \"graceshut\"",
    ".balign 4",
    "77: .quad {own} - 77b",
    ".popsection",
    own = sym OWN,
);

/// This copy's header.
#[must_use]
pub fn own() -> &'static Header {
    &OWN
}

impl Header {
    /// Shows `size` bytes of functions at `table` to the copies that follow this one. Before [`elect`].
    pub fn publish(&self, table: *const c_void, size: u32) {
        self.table_size.store(size, Ordering::SeqCst);
        self.table.store(table.cast_mut(), Ordering::SeqCst);
    }

    /// What was published: address and size. A follower uses the common prefix of both sizes (G47).
    #[must_use]
    pub fn table(&self) -> (*const c_void, u32) {
        (self.table.load(Ordering::SeqCst), self.table_size.load(Ordering::SeqCst))
    }

    /// The copy's ABI.
    #[must_use]
    pub fn abi_major(&self) -> u32 {
        self.abi_major
    }

    /// The copy's version, for people.
    #[must_use]
    pub fn version(&self) -> String {
        let end = self.version.iter().position(|b| *b == 0).unwrap_or(self.version.len());
        String::from_utf8_lossy(&self.version[..end]).into_owned()
    }

    /// True while this copy leads the calling process.
    #[must_use]
    pub fn is_active(&self) -> bool {
        // G47: pid before state; and the copy's own word, since a child in a new pid namespace can have the same pid.
        self.owner_pid.load(Ordering::SeqCst) == raw::pid() && self.state.load(Ordering::SeqCst) == ACTIVE && {
            // SAFETY: a copy's `alive` is a plain function without arguments in a mapped object (checked by `scan`).
            let alive = unsafe { (self.alive)() };
            alive != 0
        }
    }

    /// Lets the other copies know our handler's first entry and how to ask for what it replaced (A11: nobody may chain to it).
    pub(crate) fn show_handler(&self, handler: usize, saved: SavedFn) {
        self.saved.store(saved as usize, Ordering::SeqCst);
        self.handler.store(handler, Ordering::SeqCst);
    }
}

/// Another copy of graceshut in this process.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Its header; valid while its object stays mapped, for ever once it led.
    pub header: *const Header,
    /// The object that holds it.
    pub object: String,
    /// Its ABI.
    pub abi_major: u32,
    /// Its version.
    pub version: String,
    /// It led this process when it was looked at.
    pub active: bool,
    electing: bool,
}

impl Copy {
    fn of(header: &Header, object: String) -> Copy {
        Copy {
            header,
            object,
            abi_major: header.abi_major,
            version: header.version(),
            active: header.is_active(),
            electing: header.owner_pid.load(Ordering::SeqCst) == raw::pid() && header.state.load(Ordering::SeqCst) == ELECTING,
        }
    }
}

/// What this copy is after an election.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// This copy installs the handler and keeps the registry.
    Leader,
    /// That copy does.
    Follow(*const Header),
}

/// Reads a `u32` of a note.
fn word(at: usize) -> u32 {
    // SAFETY: `headers_in` has checked that the four bytes lie in a readable segment of the visited object.
    unsafe { ptr::read_unaligned(at as *const u32) }
}

/// Shows the header behind each graceshut note of `object` to `f`, after the checks of G47 that concern memory, in order:
/// note name, type and size; header inside a writable segment of the same object; magic; size.
fn headers_in(object: &objects::Object<'_>, f: &mut dyn FnMut(*const Header)) {
    for segment in object.segments(libc::PT_NOTE) {
        if !object.holds(segment.start, segment.len, libc::PF_R) {
            continue;
        }
        let align = if segment.align == 8 { 8 } else { 4 };
        let Some(end) = segment.start.checked_add(segment.len) else { continue };
        let mut at = segment.start;
        while end.saturating_sub(at) >= 12 {
            let (name_len, body_len, kind) = (word(at) as usize, word(at + 4) as usize, word(at + 8));
            let name_at = at + 12;
            let Some(body_at) = name_at.checked_add(name_len).map(|a| a.next_multiple_of(align)) else { break };
            let Some(next) = body_at.checked_add(body_len) else { break };
            if next > end {
                break;
            }
            if name_len == NOTE_NAME.len() && kind == NOTE_TYPE && body_len == 8 {
                // SAFETY: name_at .. name_at + name_len lies before `end` and so in the segment checked above.
                let name = unsafe { std::slice::from_raw_parts(name_at as *const u8, name_len) };
                if name == NOTE_NAME {
                    // SAFETY: the eight bytes at body_at lie before `end`.
                    let offset = unsafe { ptr::read_unaligned(body_at as *const i64) };
                    let header = body_at.wrapping_add(offset as usize);
                    if valid(object, header) {
                        f(header as *const Header);
                    }
                }
            }
            at = next.next_multiple_of(align);
        }
    }
}

fn valid(object: &objects::Object<'_>, at: usize) -> bool {
    if !at.is_multiple_of(align_of::<Header>()) || !object.holds(at, size_of::<Header>(), libc::PF_R | libc::PF_W) {
        return false;
    }
    // SAFETY: aligned, and the whole Header lies in a readable segment; `magic` is never written.
    let magic = unsafe { ptr::read(at as *const u64) };
    if magic != MAGIC {
        return false;
    }
    // SAFETY: as above; `size` is never written.
    let size = unsafe { ptr::read((at + offset_of!(Header, size)) as *const u32) };
    size as usize >= size_of::<Header>()
}

/// Headers seen in this process or an ancestor.
static KNOWN: [AtomicPtr<Header>; 16] = [const { AtomicPtr::new(ptr::null_mut()) }; 16];

fn remember(header: *const Header) {
    for known in &KNOWN {
        match known.compare_exchange(ptr::null_mut(), header.cast_mut(), Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return,
            Err(there) if ptr::eq(there, header) => return,
            Err(_) => {}
        }
    }
}

/// True when a header remembered from before a fork is still there: its pages are mapped and begin with the magic.
fn still_there(header: *const Header) -> bool {
    // SAFETY: sysconf has no precondition.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096).max(1);
    let start = header as usize / page * page;
    let len = header as usize + size_of::<Header>() - start;
    let mut resident = [0_u8; 8];
    if len.div_ceil(page) > resident.len() {
        return false;
    }
    // SAFETY: mincore reads nothing at the address, it fails with ENOMEM where nothing is mapped; one byte per page is written.
    if unsafe { libc::mincore(start as *mut c_void, len, resident.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: mapped, and it was a valid header once; nothing can be unloaded in this process (`bounded`).
    let magic = unsafe { ptr::read(header.cast::<u64>()) };
    magic == MAGIC
}

/// Shows every valid header and the name of its object to `f` until it says true. Where the loader cannot be asked, the ones
/// known from before the fork.
fn each_header(f: &mut dyn FnMut(&Header, String) -> bool) {
    let looked = objects::each(&mut |object| {
        let mut enough = false;
        headers_in(object, &mut |header| {
            remember(header);
            // SAFETY: `valid` accepted it, and the object cannot be unmapped during the walk.
            let header = unsafe { &*header };
            enough = enough || f(header, object.name());
        });
        enough
    });
    if looked {
        return;
    }
    for known in &KNOWN {
        let header = known.load(Ordering::SeqCst);
        if !header.is_null() && still_there(header) {
            // SAFETY: checked just above.
            let header = unsafe { &*header };
            if f(header, "a library loaded before the fork".to_owned()) {
                return;
            }
        }
    }
}

/// Every copy, this one included, lowest address first. What is told about a copy is read under the loader's lock, since an
/// idle copy may be unloaded by its user at any time.
fn scan() -> Vec<Copy> {
    let mut copies: Vec<Copy> = Vec::new();
    let insert = |copies: &mut Vec<Copy>, copy: Copy| {
        let at = copies.partition_point(|c| (c.header as usize) < copy.header as usize);
        copies.insert(at, copy);
    };
    each_header(&mut |header, object| {
        insert(&mut copies, Copy::of(header, object));
        false
    });
    if !copies.iter().any(|c| ptr::eq(c.header, &OWN)) {
        // Our own note was stripped: we can find others, they cannot find us.
        insert(&mut copies, Copy::of(&OWN, "this copy".to_owned()));
    }
    copies
}

/// The other copies in this process, of any ABI, lowest address first.
#[must_use]
pub fn find() -> Vec<Copy> {
    let mut copies = scan();
    copies.retain(|c| !ptr::eq(c.header, &OWN));
    copies
}

fn lowest(copies: &[Copy]) -> *const Header {
    copies.first().map_or(&raw const OWN, |c| c.header)
}

/// How long a thread may hold the elector word before it is taken for one that fork left behind. Holding it takes
/// microseconds; only a child in a new pid namespace with its parent's pid ever waits this long.
const PATIENCE: Duration = Duration::from_secs(5);

fn take(word: &AtomicU32, me: u32, limit: At) -> bool {
    loop {
        match word.compare_exchange(0, me, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return true,
            // G47: left by an ancestor; whoever swaps it owns it.
            Err(other) if other != me => {
                if word.compare_exchange(other, me, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    return true;
                }
            }
            Err(_) if At::now() >= limit => return true,
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// Decides who leads this process: this copy (`own` must be [`own()`]) or one that leads already.
/// The caller makes sure that one copy runs one election at a time. When the answer is `Leader` this process owns the
/// live state (`fork::claim`). Call [`resign`] to give the lead back. Blocks for microseconds.
///
/// # Errors
/// `AbiMismatch` when the leader has another ABI; `Os` when a library cannot be pinned.
pub fn elect(own: &'static Header) -> Result<Role, Error> {
    fork::prepare()?;
    let me = raw::pid();
    let limit = At::now().plus(PATIENCE);
    loop {
        let home = lowest(&scan());
        // The word must not be unmapped while we hold it. Pinned first, looked at again after: until the second scan
        // has seen it, it is only touched under the loader's lock.
        pin::pin_holder(home as usize)?;
        if lowest(&scan()) != home {
            continue;
        }
        // SAFETY: a valid header in an object that is pinned.
        let home = unsafe { &*home };
        take(&home.elector, me, limit);
        let decided = decide(own, home, me, limit);
        home.elector.store(0, Ordering::SeqCst);
        match decided {
            Some(role) => return role,
            None => std::thread::yield_now(),
        }
    }
}

/// The part under the elector word. `None`: somebody elects under another word, look again.
fn decide(own: &'static Header, home: &Header, me: u32, limit: At) -> Option<Result<Role, Error>> {
    if own.is_active() {
        return Some(Ok(Role::Leader));
    }
    own.owner_pid.store(me, Ordering::SeqCst);
    own.state.store(ELECTING, Ordering::SeqCst);
    let give_up = |answer| {
        own.state.store(IDLE, Ordering::SeqCst);
        own.owner_pid.store(0, Ordering::SeqCst);
        answer
    };
    let copies = scan();
    if !ptr::eq(lowest(&copies), home) {
        return give_up(None);
    }
    let others = || copies.iter().filter(|c| !ptr::eq(c.header, own));
    if let Some(leader) = others().find(|c| c.active) {
        return give_up(Some(if leader.abi_major == own.abi_major {
            Ok(Role::Follow(leader.header))
        } else {
            Err(mismatch(own, leader))
        }));
    }
    let rival = others().any(|c| c.electing);
    if rival && At::now() < limit {
        return give_up(None);
    }
    if let Err(error) = fork::claim() {
        return give_up(Some(Err(error)));
    }
    own.state.store(ACTIVE, Ordering::SeqCst);
    Some(Ok(Role::Leader))
}

fn mismatch(own: &Header, other: &Copy) -> Error {
    let here = objects::owner_of(own as *const Header as usize).unwrap_or_else(|| "this library".to_owned());
    Error::new(
        ErrorKind::AbiMismatch,
        format!(
            "{here} holds graceshut {} (ABI {}), but {} already leads with graceshut {} (ABI {}): \
             use releases with one ABI in one process",
            own.version(),
            own.abi_major,
            other.object,
            other.version,
            other.abi_major
        ),
    )
}

/// Gives the lead back (after `signal::disarm`). A no-op for a copy that does not lead.
pub fn resign(own: &'static Header) {
    if own.is_active() {
        own.state.store(IDLE, Ordering::SeqCst);
        own.owner_pid.store(0, Ordering::SeqCst);
        fork::release();
    }
}

/// True when a signal handler at `address` is one of the entries that begin at `first` (0: the copy never armed).
pub(super) fn is_entry(first: u64, address: u64) -> bool {
    let all = (ENTRIES * ENTRY_BYTES) as u64;
    first != 0 && address.checked_sub(first).is_some_and(|at| at < all && at.is_multiple_of(ENTRY_BYTES as u64))
}

/// When `handler` is the handler of another copy: what that copy saved for `signo` (A11: never chain to a copy; in a
/// fork child it would take the signal for one that must kill).
pub(crate) fn saved_by_copy(handler: usize, signo: i32) -> Option<Disposition> {
    let mut found = None;
    each_header(&mut |header, _| {
        let saved = header.saved.load(Ordering::SeqCst);
        if ptr::eq(header, &OWN) || !is_entry(header.handler.load(Ordering::SeqCst) as u64, handler as u64) || saved == 0 {
            return false;
        }
        // SAFETY: the copy stored a SavedFn there (`show_handler`), and nothing else ever.
        let ask = unsafe { std::mem::transmute::<usize, SavedFn>(saved) };
        let mut out: Disposition = [0; 4];
        // SAFETY: `out` is valid for the write; the function has no other precondition.
        let known = unsafe { ask(handler, signo, &raw mut out) };
        // Zeroes are SIG_DFL, which is what a copy that knows nothing has replaced.
        found = Some(if known == 0 { [0; 4] } else { out });
        true
    });
    found
}
