//! The controlling terminal: handed to the program's group, taken back, handed over again.

use super::sys;

/// The terminal `run` was started on, with `run` in its foreground.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    pub fd: i32,
}

impl Terminal {
    /// Stdin, if it is our controlling terminal and we are the ones it listens to.
    pub fn of_stdin() -> Option<Terminal> {
        let fd = libc::STDIN_FILENO;
        (sys::foreground(fd)? == sys::own_group()).then_some(Terminal { fd })
    }

    /// The program's group has the terminal.
    pub fn give_to(self, group: i32) {
        // It may have hung up: nothing is lost then.
        let _ = sys::set_foreground(self.fd, group);
    }

    /// True while `group` has it.
    pub fn is_with(self, group: i32) -> bool {
        sys::foreground(self.fd) == Some(group)
    }

    pub fn take_back(self) {
        self.give_to(sys::own_group());
    }
}
