//! A callback as one owned value: function data and destructor, destroyed once.

use std::ffi::c_void;

/// Frees `user_data` when its callback can no longer be called: after its last call, after a registration that failed, when
/// the hook is removed, or at `graceshut_uninstall`. Called exactly once in those cases, on any thread, never while graceshut
/// holds a lock; may block. What is still registered when the process ends is not destroyed: the kernel frees it.
pub type graceshut_destroy_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// The user's data; dropping it calls the destructor.
pub(crate) struct UserData {
    data: *mut c_void,
    destroy: graceshut_destroy_fn,
}

// SAFETY: the contract of every callback says that its data may be used and destroyed on another thread.
unsafe impl Send for UserData {}
// SAFETY: as above; graceshut itself only passes the pointer on.
unsafe impl Sync for UserData {}

impl UserData {
    pub(crate) fn new(data: *mut c_void, destroy: graceshut_destroy_fn) -> UserData {
        UserData { data, destroy }
    }

    /// The pointer, for the call.
    pub(crate) fn get(&self) -> *mut c_void {
        self.data
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the user gave function and data together; drop runs once.
            unsafe { destroy(self.data) };
        }
    }
}
