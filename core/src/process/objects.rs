//! The mapped ELF objects of this process, by `dl_iterate_phdr` (embedding G44).
//!
//! `dladdr` and `dlopen` take the loader's big lock, which another thread may hold for as long as a library's constructor
//! runs; `dl_iterate_phdr` takes only the short one, so the engine thread may call this. In a fork child that lock may be lost
//! with the thread that held it: see `bounded`.

use std::ffi::{CStr, c_int, c_void};

/// One mapped object while it is being visited.
pub struct Object<'a> {
    name: &'a CStr,
    base: usize,
    headers: &'a [libc::Elf64_Phdr],
    first: bool,
}

impl Object<'_> {
    /// The loader's name of the object; empty for the main program.
    #[must_use]
    pub fn loader_name(&self) -> &CStr {
        self.name
    }

    /// True for the program itself, which is never unloaded.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.first || self.name.is_empty()
    }

    /// A name for people.
    #[must_use]
    pub fn name(&self) -> String {
        if !self.name.is_empty() {
            return self.name.to_string_lossy().into_owned();
        }
        std::fs::read_link("/proc/self/exe")
            .map_or_else(|_| "the main program".to_owned(), |path| path.to_string_lossy().into_owned())
    }

    /// The object's segments of type `kind`: start, length, flags, alignment.
    pub fn segments(&self, kind: u32) -> impl Iterator<Item = Segment> + '_ {
        self.headers.iter().filter(move |h| h.p_type == kind).map(|h| Segment {
            start: self.base.wrapping_add(h.p_vaddr as usize),
            len: h.p_memsz as usize,
            flags: h.p_flags,
            align: h.p_align as usize,
        })
    }

    /// True when `len` bytes at `at` lie in one loaded segment that has all of `flags` (`PF_R`, `PF_W`, `PF_X`).
    #[must_use]
    pub fn holds(&self, at: usize, len: usize, flags: u32) -> bool {
        self.segments(libc::PT_LOAD).any(|s| {
            s.flags & flags == flags
                && at >= s.start
                && at.checked_add(len).is_some_and(|end| s.start.checked_add(s.len).is_some_and(|limit| end <= limit))
        })
    }
}

/// One program header, relocated.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// First address.
    pub start: usize,
    /// Length in memory.
    pub len: usize,
    /// `PF_R | PF_W | PF_X`.
    pub flags: u32,
    /// Alignment.
    pub align: usize,
}

struct Visit<'a> {
    f: &'a mut dyn FnMut(&Object<'_>) -> bool,
    first: bool,
}

unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _size: libc::size_t, data: *mut c_void) -> c_int {
    // SAFETY: `data` is the `Visit` that `each` keeps alive and hands to nobody else during the walk.
    let visit = unsafe { &mut *data.cast::<Visit<'_>>() };
    // SAFETY: the loader passes a valid dl_phdr_info that stays valid during this call.
    let info = unsafe { &*info };
    let name = if info.dlpi_name.is_null() {
        c""
    } else {
        // SAFETY: the loader's names are NUL-terminated and outlive this call.
        unsafe { CStr::from_ptr(info.dlpi_name) }
    };
    let headers = if info.dlpi_phdr.is_null() {
        &[][..]
    } else {
        // SAFETY: the loader says there are dlpi_phnum headers there, mapped as long as the object is.
        unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) }
    };
    let object = Object { name, base: info.dlpi_addr as usize, headers, first: visit.first };
    visit.first = false;
    c_int::from((visit.f)(&object))
}

/// Shows every object to `f` until it says true. The objects cannot be unmapped meanwhile. `f` must not panic.
/// False when the loader cannot be asked in this process (`bounded`); then `f` was not called.
pub fn each(f: &mut dyn FnMut(&Object<'_>) -> bool) -> bool {
    let answers = super::bounded::loader_answers();
    if answers {
        walk(f);
    }
    answers
}

/// Takes and gives back the loader's short lock, which is all `bounded` wants to know about.
pub(super) fn touch() {
    walk(&mut |_| true);
}

fn walk(f: &mut dyn FnMut(&Object<'_>) -> bool) {
    let mut data = Visit { f, first: true };
    // SAFETY: `visit` has the required type and `data` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut data).cast()) };
}

/// The name of the object that `at` lies in; `None` for memory that belongs to none (code made at run time).
#[must_use]
pub fn owner_of(at: usize) -> Option<String> {
    let mut found = None;
    each(&mut |object| {
        if object.holds(at, 1, 0) {
            found = Some(object.name());
        }
        found.is_some()
    });
    found
}
