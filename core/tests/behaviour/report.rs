//! Spec 11.1: the report and where it goes.

use std::io::Read;
use std::os::fd::AsRawFd;

use graceshut::{HookError, ReportTo};
use serde_json::Value;

use crate::harness::*;

crate::suite!("report",
    tests: [
        r11_1_a_real_report_fits_the_schema,
        r11_1_path_with_pid_and_descriptor_and_json_on_stderr,
        r11_1_one_line_for_people,
        r11_1_a_closed_stderr_changes_nothing,
        r11_1_a_full_pipe_delays_nothing,
        r11_1_a_full_disk_changes_nothing,
        r11_1_a_folder_that_cannot_be_written_changes_nothing,
        r11_1_a_sink_that_hangs_is_overtaken,
    ],
    children: [rich, plain, closed_stderr]);

fn rich() {
    let gs = install(grace(1500)).unwrap();
    gs.hook("announce", "pause").delay(ms(5)).unwrap();
    gs.hook("drain", "panics").run(|_| panic!("oh\nno")).unwrap();
    gs.hook("drain", "fails").optional(true).run(|_| Err(HookError::failed("words"))).unwrap();
    hanging(&gs, "drain", "hangs");
    saying(&gs, "flush", "fine");
    let inner = gs.clone();
    gs.hook("flush", "stops")
        .run(move |_| {
            inner.stop("again", None).unwrap();
            Ok(())
        })
        .unwrap();
    gs.hook("final", "cmd").exec(graceshut::ExecSpec { argv: vec!["/bin/false".into()], ..Default::default() }).unwrap();
    serve(&gs);
}

fn plain() {
    let gs = install(grace(2000)).unwrap();
    gs.hook("flush", "f").run(|_| Err(HookError::failed("no luck"))).unwrap();
    serve(&gs);
}

fn closed_stderr() {
    let to = if arg("GS_JSON") == "yes" { ReportTo::StderrJson } else { ReportTo::Line };
    let gs = install(Options { report: Some(to), ..grace(2000) }).unwrap();
    saying(&gs, "flush", "flushed");
    unsafe { libc::close(2) };
    serve(&gs);
}

/// Checks `value` against the part of JSON Schema that docs/report.schema.json uses; order of keys included.
fn fits(schema: &Value, root: &Value, value: &Value, at: &str) {
    if let Some(path) = schema["$ref"].as_str() {
        return fits(root.pointer(path.trim_start_matches('#')).unwrap(), root, value, at);
    }
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("schema uses type {other}"),
    };
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().map(|k| k.as_str().unwrap()).collect(),
        _ => panic!("{at}: the schema gives no type"),
    };
    assert!(kinds.iter().any(|k| is(k)), "{at}: {value} is none of {kinds:?}");
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value} is none of {words:?}");
    }
    if let Some(least) = schema["minimum"].as_i64() {
        assert!(value.is_null() || value.as_i64().is_none_or(|v| v >= least), "{at}: {value} is below {least}");
    }
    if let (Some(wanted), false) = (schema.get("const"), value.is_null()) {
        assert_eq!(wanted, value, "{at}");
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        values.iter().enumerate().for_each(|(i, v)| fits(items, root, v, &format!("{at}[{i}]")));
    }
    if let Some(object) = value.as_object() {
        let keys: Vec<&String> = object.keys().collect();
        let required: Vec<&str> = schema["required"].as_array().unwrap().iter().map(|k| k.as_str().unwrap()).collect();
        assert_eq!(schema["additionalProperties"], false, "{at}");
        assert_eq!(keys.len(), required.len(), "{at}: {keys:?} and {required:?}");
        assert!(required.iter().all(|k| object.contains_key(*k)), "{at}: {keys:?} and {required:?}");
        assert_eq!(schema["properties"].as_object().unwrap().len(), required.len(), "{at}: every key is required");
        object.iter().for_each(|(k, v)| fits(&schema["properties"][k], root, v, &format!("{at}.{k}")));
    }
}

/// The keys of every object in `text`, in the order they stand there.
fn keys_in_order(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        rest = &rest[start + 1..];
        let mut end = 0;
        let bytes = rest.as_bytes();
        while bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        if bytes.get(end + 1) == Some(&b':') {
            keys.push(rest[..end].to_owned());
        }
        rest = &rest[end + 1..];
    }
    keys
}

fn r11_1_a_real_report_fits_the_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/report.schema.json");
    let schema_text = std::fs::read_to_string(path).unwrap();
    let schema: Value = serde_json::from_str(&schema_text).unwrap();
    for (child, code) in [("rich", 1), ("plain", 1)] {
        let mut kid = Kid::new(child).ready();
        kid.term();
        let end = kid.end().code(code);
        let text = std::fs::read_to_string(end.folder.join("report.json")).unwrap();
        assert!(text.ends_with("}\n") && text.lines().count() == 1, "one line");
        fits(&schema, &schema, &end.report(), "report");
        // "required" lists the keys in the order the report has them.
        let top: Vec<&str> = schema["required"].as_array().unwrap().iter().map(|k| k.as_str().unwrap()).collect();
        let written = keys_in_order(&text);
        let mut at = 0;
        for key in &top {
            at +=
                written[at..].iter().position(|k| k == key).unwrap_or_else(|| panic!("{key} is out of order: {written:?}")) + 1;
        }
        for (def, first) in [("hook", "name"), ("phase", "name")] {
            let wanted: Vec<&str> =
                schema["$defs"][def]["required"].as_array().unwrap().iter().map(|k| k.as_str().unwrap()).collect();
            assert_eq!(wanted[0], first);
            assert!(written.windows(wanted.len()).any(|w| w == wanted), "{def}: {wanted:?} in {written:?}");
        }
        if child == "rich" {
            let names: Vec<_> = end.report()["phases"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
            assert_eq!(names, ["announce", "drain", "flush", "close", "final"]);
            let drain: Vec<_> =
                end.report()["phases"][1]["hooks"].as_array().unwrap().iter().map(|h| h["name"].clone()).collect();
            assert_eq!(drain, ["inflight", "panics", "fails", "hangs"], "registration order");
            // The check can fail.
            let mut wrong = end.report();
            wrong["phases"][0]["hooks"][0]["used_us"] = Value::from("5");
            std::panic::set_hook(Box::new(|_| ()));
            let refused = std::panic::catch_unwind(|| fits(&schema, &schema, &wrong, "report")).is_err();
            drop(std::panic::take_hook());
            assert!(refused);
        }
    }
}

fn terminated(kid: Kid) -> Ended {
    let mut kid = kid.ready();
    kid.term();
    kid.end()
}

fn r11_1_path_with_pid_and_descriptor_and_json_on_stderr() {
    let folder = folder();
    let mut kid = Kid::new("plain").env("GRACESHUT_REPORT", folder.join("r-%p.json").to_str().unwrap()).ready();
    let path = folder.join(format!("r-{}.json", kid.pid()));
    kid.term();
    kid.end().code(1);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(report["graceshut"], 1);

    let end = terminated(Kid::new("plain").env("GRACESHUT_REPORT", "stderr:json")).code(1);
    let line = end.said.iter().find(|l| l.starts_with('{')).unwrap();
    assert_eq!(serde_json::from_str::<Value>(line).unwrap()["outcome"], "degraded");

    let (mut read, write) = std::io::pipe().unwrap();
    let fd = write.as_raw_fd();
    let at_seven = move || {
        unsafe { libc::dup2(fd, 7) };
        // Also when `fd` happens to be 7.
        unsafe { libc::fcntl(7, libc::F_SETFD, 0) };
        Ok(())
    };
    terminated(Kid::new("plain").env("GRACESHUT_REPORT", "fd:7").before(at_seven)).code(1);
    drop(write);
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["outcome"], "degraded");
    terminated(Kid::new("plain").env("GRACESHUT_REPORT", "fd:77")).code(1).within(ms(0), ms(50));
}

fn r11_1_one_line_for_people() {
    let end = terminated(Kid::new("plain").env("GRACESHUT_REPORT", "stderr")).code(1);
    let line = end.said.iter().find(|l| l.starts_with("graceshut: degraded in ")).unwrap();
    assert!(line.contains(" of 1.9s after TERM: drain "), "{line}");
    assert!(line.ends_with("flush/f failed (no luck); exit 1"), "{line}");
}

fn r11_1_a_closed_stderr_changes_nothing() {
    for json in ["yes", "no"] {
        let kid = Kid::new("closed_stderr").env("GRACESHUT_REPORT", if json == "yes" { "stderr:json" } else { "stderr" });
        terminated(kid).code(0).said("flushed").within(ms(0), ms(50));
    }
}

fn r11_1_a_full_pipe_delays_nothing() {
    let (read, write) = std::io::pipe().unwrap();
    unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    let block = [0_u8; 4096];
    while unsafe { libc::write(write.as_raw_fd(), block.as_ptr().cast(), block.len()) } > 0 {}
    unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETFL, 0) };
    let fd = write.as_raw_fd();
    let as_stderr = move || {
        unsafe { libc::dup2(fd, 2) };
        Ok(())
    };
    let kid = Kid::new("plain").env("GRACESHUT_REPORT", "stderr:json").before(as_stderr);
    // The report's own limit, and not a moment of the host's blocking write.
    terminated(kid).code(1).within(ms(0), ms(260));
    assert_eq!(unsafe { libc::fcntl(write.as_raw_fd(), libc::F_GETFL) } & libc::O_NONBLOCK, 0, "somebody else's descriptor");
    drop(read);
}

fn r11_1_a_full_disk_changes_nothing() {
    terminated(Kid::new("plain").env("GRACESHUT_REPORT", "/dev/full")).code(1).within(ms(0), ms(50));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let fd = full.as_raw_fd();
    let as_stderr = move || {
        unsafe { libc::dup2(fd, 2) };
        Ok(())
    };
    terminated(Kid::new("plain").env("GRACESHUT_REPORT", "stderr").before(as_stderr)).code(1).within(ms(0), ms(50));
}

fn r11_1_a_folder_that_cannot_be_written_changes_nothing() {
    for path in ["/proc/nothing/report.json", "/sys/report.json", "/no/such/folder/report.json", "/proc"] {
        terminated(Kid::new("plain").env("GRACESHUT_REPORT", path)).code(1).within(ms(0), ms(50));
    }
}

fn r11_1_a_sink_that_hangs_is_overtaken() {
    // A FIFO without a reader; and one with a reader that never reads, full.
    let path = folder().join("fifo");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    terminated(Kid::new("plain").env("GRACESHUT_REPORT", path.to_str().unwrap())).code(1).within(ms(0), ms(50));
    let both = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    unsafe { libc::fcntl(both.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    let block = [0_u8; 4096];
    while unsafe { libc::write(both.as_raw_fd(), block.as_ptr().cast(), block.len()) } > 0 {}
    terminated(Kid::new("plain").env("GRACESHUT_REPORT", path.to_str().unwrap())).code(1).within(ms(0), ms(260));
}
