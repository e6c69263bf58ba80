#![allow(clippy::unwrap_used)]

use super::*;
use std::io::{Read, Write, pipe};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Instant;

const OBJECT: &str = "{\"graceshut\":1}";

fn soon() -> At {
    At::now().plus(Duration::from_millis(200))
}

fn to_fd(fd: &impl AsRawFd, text: &str) -> Result<(), Error> {
    deliver(&ReportTo::Fd(fd.as_raw_fd()), "line", text, soon())
}

fn to_path(path: &Path) -> Result<(), Error> {
    deliver(&ReportTo::Path(path.to_owned()), "line", OBJECT, soon())
}

fn flags(fd: &impl AsRawFd) -> i32 {
    // SAFETY: F_GETFL takes no argument.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }
}

fn set_flags(fd: &impl AsRawFd, to: i32) {
    // SAFETY: F_SETFL takes an int.
    assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, to) }, 0);
}

/// Fills a pipe and leaves it blocking, as the terminal or log collector behind a stderr would.
fn fill(writer: &mut (impl Write + AsRawFd)) {
    let before = flags(writer);
    set_flags(writer, before | libc::O_NONBLOCK);
    while writer.write(&[b'x'; 4096]).is_ok() {}
    set_flags(writer, before);
}

fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("gs-write-{}-{name}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn a_descriptor_gets_the_object_and_keeps_its_flags() {
    let (mut reader, writer) = pipe().unwrap();
    let before = flags(&writer);
    to_fd(&writer, OBJECT).unwrap();
    assert_eq!(flags(&writer), before);
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("{OBJECT}\n"));
}

#[test]
fn a_full_pipe_does_not_hold_past_the_limit() {
    let (_reader, mut writer) = pipe().unwrap();
    fill(&mut writer);
    let start = Instant::now();
    assert_eq!(to_fd(&writer, OBJECT).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(190) && start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(flags(&writer) & libc::O_NONBLOCK, 0);
    // Past the limit already: one look, no wait.
    let start = Instant::now();
    assert!(deliver(&ReportTo::Fd(writer.as_raw_fd()), "", OBJECT, At(1)).is_err());
    assert!(start.elapsed() < Duration::from_millis(100));
}

#[test]
fn a_pipe_that_fills_up_midway_is_given_up() {
    let (_reader, writer) = pipe().unwrap();
    let start = Instant::now();
    assert_eq!(to_fd(&writer, &"x".repeat(300_000)).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_slow_reader_gets_all_of_a_long_object() {
    let (mut reader, writer) = pipe().unwrap();
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).map(|_| all.len())
    });
    deliver(&ReportTo::Fd(writer.as_raw_fd()), "", &"x".repeat(1_000_000), At::now().plus(Duration::from_secs(20))).unwrap();
    drop(writer);
    assert_eq!(reading.join().unwrap().unwrap(), 1_000_001);
}

#[test]
fn sockets_full_and_closed() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    to_fd(&ours, OBJECT).unwrap();
    fill(&mut ours);
    assert_eq!(to_fd(&ours, OBJECT).unwrap_err().kind(), ErrorKind::TimedOut);
    drop(theirs);
    assert!(to_fd(&ours, OBJECT).is_err());
}

#[test]
fn a_full_disk_and_a_closed_descriptor_are_errors() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(to_fd(&full, OBJECT).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(to_path(Path::new("/dev/full")).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    let nobody = deliver(&ReportTo::Fd(1_000_000), "", OBJECT, soon()).unwrap_err();
    assert_eq!(nobody.raw_os_error(), Some(libc::EBADF));
    deliver(&ReportTo::None, "", OBJECT, soon()).unwrap();
}

#[test]
fn a_file_appears_whole_under_its_own_name() {
    let dir = folder("file");
    let path = dir.join("r-%p.json");
    let written = dir.join(format!("r-{}.json", std::process::id()));
    // What a killed predecessor with our pid left behind is no obstacle.
    fs::write(dir.join(format!(".r-{0}.json.{0}.tmp", std::process::id())), "old").unwrap();
    to_path(&path).unwrap();
    to_path(&path).unwrap();
    assert_eq!(fs::read_to_string(&written).unwrap(), format!("{OBJECT}\n"));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    let link = dir.join("link.json");
    symlink(&written, &link).unwrap();
    to_path(&link).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(to_path(&dir).unwrap_err().raw_os_error(), Some(libc::EISDIR));
    assert_eq!(to_path(&dir.join("no/such/folder")).unwrap_err().kind(), ErrorKind::NotFound);
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_fifo_without_a_reader_is_an_error_at_once() {
    let dir = folder("fifo");
    let path = dir.join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let start = Instant::now();
    assert_eq!(to_path(&path).unwrap_err().raw_os_error(), Some(libc::ENXIO));
    assert!(start.elapsed() < Duration::from_millis(150));
    let mut reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    to_path(&path).unwrap();
    let mut text = String::new();
    let _again = reader.read_to_string(&mut text);
    assert_eq!(text, format!("{OBJECT}\n"));
    assert!(path.metadata().unwrap().file_type().is_fifo());
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_human_line_is_one_line_of_at_most_a_kibibyte() {
    assert_eq!(human("stopped\nclean\t\u{1b}[0m\n"), "stopped clean  [0m\n");
    let long = human(&"é".repeat(3000));
    assert!(long.len() <= LINE && long.ends_with("é\n"));
}

#[test]
fn names_of_descriptors_are_not_opened_as_files() {
    assert_eq!(descriptor_of(Path::new("/dev/stdout")), Some(1));
    assert_eq!(descriptor_of(Path::new("/dev/fd/7")), Some(7));
    assert_eq!(descriptor_of(Path::new("/proc/self/fd/2")), Some(2));
    assert_eq!(descriptor_of(Path::new("/tmp/x")), None);
    // A log file behind the descriptor is appended to, neither truncated nor replaced.
    let dir = folder("behind");
    let log = dir.join("log");
    let mut file = File::create(&log).unwrap();
    file.write_all(b"first\n").unwrap();
    to_path(&PathBuf::from(format!("/dev/fd/{}", file.as_raw_fd()))).unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), format!("first\n{OBJECT}\n"));
    fs::remove_dir_all(&dir).unwrap();
}

/// Runs this test program again as [`child`] with `role`, its stderr being `stderr`.
fn child_with(role: &str, stderr: Stdio) -> (std::process::ExitStatus, Duration) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "report::write::tests::child", "--nocapture"]).env("GS_WRITE_ROLE", role);
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(stderr).status().unwrap();
    (status, start.elapsed())
}

/// Not a test by itself: what the two below run in a process of its own.
#[test]
fn child() {
    let Some(role) = std::env::var_os("GS_WRITE_ROLE") else { return };
    // SAFETY: sets a default disposition, which runs no code.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    if role == "closed" {
        // SAFETY: nobody in this process uses stderr from here on.
        unsafe { libc::close(2) };
    }
    let line = deliver(&ReportTo::Line, "line", OBJECT, soon()).is_ok();
    let object = deliver(&ReportTo::StderrJson, "line", OBJECT, soon()).is_ok();
    // SAFETY: leaves at once, past the test harness.
    unsafe { libc::_exit(if line && object { 42 } else { 43 }) };
}

#[test]
fn a_stderr_that_is_closed_full_or_without_reader_changes_nothing() {
    assert_eq!(child_with("closed", Stdio::null()).0.code(), Some(42));
    let (reader, mut full) = pipe().unwrap();
    fill(&mut full);
    let (status, took) = child_with("full", Stdio::from(OwnedFd::from(full)));
    assert_eq!(status.code(), Some(42));
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(reader);
    let (reader, unread) = pipe().unwrap();
    drop(reader);
    let (status, _) = child_with("unread", Stdio::from(OwnedFd::from(unread)));
    assert_eq!((status.code(), status.signal()), (Some(42), None));
    let (mut reader, open) = pipe().unwrap();
    assert_eq!(child_with("open", Stdio::from(OwnedFd::from(open))).0.code(), Some(42));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("line\n{OBJECT}\n"));
}
