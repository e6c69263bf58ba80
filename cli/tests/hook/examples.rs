//! What each hook of `examples/hooks` has to do, built from its source: played alone, with real files and a real server.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Folder;
use super::projects::{has_tools, make, skipped};
use super::stand_in::StandIn;

/// A file of `examples/hooks`.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/hooks").join(name)
}

/// A module of a folder, to be played with grants.
struct Play<'a>(&'a Folder, Vec<String>);

impl Play<'_> {
    fn new<'a>(folder: &'a Folder, wasm: &str) -> Play<'a> {
        Play(folder, ["run", wasm, "--timeout", "20s"].map(str::to_owned).into())
    }

    fn with(mut self, option: &str, value: String) -> Self {
        self.1.extend([option.to_owned(), value]);
        self
    }

    fn http(self, methods: &str, address: &str) -> Self {
        self.with("--http", format!("{methods} {address}"))
    }

    fn config(self, key: &str, value: &str) -> Self {
        self.with("--config", format!("{key}={value}"))
    }

    /// A folder, writable.
    fn dir(self, guest: &str, host: &Path) -> Self {
        self.with("--dir", format!("{guest}={}:rw", host.display()))
    }

    /// Whether it ended well, and all that was said.
    fn played(&self) -> (bool, String) {
        let (ok, out, err) = self.0.hook(&self.1.iter().map(String::as_str).collect::<Vec<_>>());
        (ok, out + &err)
    }

    /// It ends well and says this.
    fn does(&self, says: &str) {
        let (ok, out) = self.played();
        assert!(ok && out.contains("outcome: ok\n") && out.contains(says), "no {says:?} in {out}");
    }

    /// It fails with a message that begins so.
    fn fails(&self, message: &str) {
        let (ok, out) = self.played();
        let message = format!("outcome: failed\nmessage: {message}");
        assert!(!ok && out.contains(&message), "no {message:?} in {out}");
    }
}

/// Names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Folders of these names, empty.
fn folders<const N: usize>(parent: &Path, names: [&str; N]) -> [PathBuf; N] {
    names.map(|name| {
        let path = parent.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    })
}

/// `quit.wat`
pub fn quits_a_sidecar(folder: &Folder, wasm: &str) {
    let agent = StandIn::new(|line| if line == "POST /quitquitquit" { (200, "OK") } else { (500, "no") });
    let url = format!("http://{}", agent.address);
    let quit = || Play::new(folder, wasm).http("POST", &agent.address);
    quit().config("url", &format!("{url}/quitquitquit")).does("log: the sidecar quits\n");
    let asked = agent.asked();
    assert_eq!((asked[0].line.as_str(), asked[0].body.as_str(), asked.len()), ("POST /quitquitquit", "", 1));
    quit().config("url", &format!("{url}/shutdown")).fails("returned 1: the sidecar answers 500\n");
    assert_eq!(agent.lines(), ["POST /shutdown"]);
    // Without an address it is Istio's.
    quit().fails("returned 3: the request is not granted");
    assert!(quit().played().1.contains("grant \"POST 127.0.0.1:15020\""));
    quit().config("url", &format!("{url}/{}", "x".repeat(4096))).fails("returned 2: config.url is too long\n");
    quit().config("url", "quit").fails("returned 3: config.url is malformed\n");
    assert!(agent.lines().is_empty());
    let quit = quit().config("url", &url);
    drop(agent);
    quit.fails("returned 4: no sidecar answers\n");
}

/// `deregister.c`
pub fn takes_out_by_one_request(folder: &Folder, wasm: &str) {
    let registry = StandIn::new(|line| match line {
        "PUT /web-1" => (200, "true"),
        "PUT /gone" => (404, "no such service"),
        _ => (500, "no leader"),
    });
    let with = |path: &str| {
        let url = format!("http://{}{path}", registry.address);
        Play::new(folder, wasm).http("PUT", &registry.address).config("url", &url).config("method", "PUT")
    };
    with("/web-1").config("header", "X-Consul-Token: secret").config("body", "{\"a\": 1}").does("log: deregistered\n");
    let asked = registry.asked();
    assert_eq!((asked[0].line.as_str(), asked[0].body.as_str(), asked.len()), ("PUT /web-1", "{\"a\": 1}", 1));
    assert_eq!(asked[0].header("x-consul-token"), Some("secret"));
    with("/gone").does("log: deregistered\n");
    with("/web-2").fails("returned 1: 500\n");
    assert_eq!(registry.lines(), ["PUT /gone", "PUT /web-2"]);
}

/// `deregister.ts`
pub fn asks_one_node_after_another(folder: &Folder, wasm: &str) {
    let first = StandIn::new(|_| (503, "no leader"));
    let second = StandIn::new(|line| if line.ends_with("/web-1") { (200, "") } else { (500, "no") });
    let third = StandIn::new(|_| (200, ""));
    let nodes = [&first, &second, &third].map(|s| format!("http://{}", s.address)).join(" ");
    let with = |path: &str, nodes: &str| {
        let play = Play::new(folder, wasm).http("DELETE,PUT", &first.address).http("DELETE,PUT", &second.address);
        play.http("DELETE,PUT", &third.address).config("nodes", nodes).config("path", path)
    };
    let (one, two) = (format!("http://{}", first.address), format!("http://{}", second.address));
    let (ok, out) = with("/eureka/apps/WEB/web-1", &nodes).played();
    assert!(ok && out.contains(&format!("{one}: 503\n")) && out.contains(&format!("log: deregistered at {two}\n")), "{out}");
    assert_eq!(
        (first.lines(), second.lines()),
        (vec!["DELETE /eureka/apps/WEB/web-1".into()], vec!["DELETE /eureka/apps/WEB/web-1".into()])
    );
    assert!(third.lines().is_empty());
    with("/web-2", &format!("{one} {two}"))
        .config("method", "PUT")
        .config("body", "{}")
        .fails(&format!("returned 1: {two}: 500\n"));
    let asked = second.asked();
    assert_eq!((asked[0].line.as_str(), asked[0].body.as_str()), ("PUT /web-2", "{}"));
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    with("/web-1", "http://127.0.0.1:1").fails("returned 1: http://127.0.0.1:1: not granted");
    with("", &nodes).fails("returned 2: config.nodes or config.path is missing\n");
}

const SERVICES: &str = r#"{"web-1": {"ID": "web-1", "Service": "web"}, "db": {"ID": "db", "Service": "db", "Tags": ["größer"]},
    "web/2": {"ID": "web/2", "Service": "web"}, "old-1": {"ID": "old-1", "Service": "old"}, "old-2": {"ID": "old-2", "Service": "old"}}"#;

/// `deregister.js`
pub fn takes_every_instance_out_of_consul(folder: &Folder, wasm: &str) {
    let agent = StandIn::new(|line| match line {
        "GET /v1/agent/services" => (200, SERVICES),
        "PUT /v1/agent/service/deregister/old-1" => (500, "größer"),
        _ => (200, ""),
    });
    let with = |service: &str| {
        let play = Play::new(folder, wasm).http("GET,PUT", &agent.address).config("service", service);
        play.config("agent", &format!("http://{}", agent.address))
    };
    with("web").config("token", "secret").does("log: deregistered web-1\nlog: deregistered web/2\n");
    let asked = agent.asked();
    assert!(asked.iter().all(|a| a.header("x-consul-token") == Some("secret") && a.body.is_empty()));
    let out = "/v1/agent/service/deregister";
    let lines = |ids: &[&str]| {
        [vec!["GET /v1/agent/services".to_owned()], ids.iter().map(|id| format!("PUT {out}/{id}")).collect()].concat()
    };
    assert_eq!(asked.into_iter().map(|a| a.line).collect::<Vec<_>>(), lines(&["web-1", "web%2F2"]));
    // The one behind the one that fails is taken out all the same.
    with("old").fails(&format!("PUT http://{}{out}/old-1: 500 größer\n", agent.address));
    assert_eq!(agent.lines(), lines(&["old-1", "old-2"]));
    let with = with("web");
    drop(agent);
    // In the words of the host.
    with.fails("http: GET http://");
}

/// `spool.rs`
pub fn moves_spooled_files(folder: &Folder, wasm: &str) {
    let [spool, inbox, _] = folders(&folder.0, ["spool", "inbox", "spool/folder"]);
    let shared = Folder(PathBuf::from(format!("/dev/shm/graceshut-spool-{}", std::process::id())));
    let put = |name: &str, text: &str| fs::write(spool.join(name), text).unwrap();
    for name in ["1.json", "2.json", "3.part", ".hidden"] {
        put(name, name);
    }
    let to = |inbox: &Path| Play::new(folder, wasm).dir("/spool", &spool).dir("/inbox", inbox);
    to(&inbox).config("skip", ".part").does("log: 2 of 2 files moved\n");
    assert_eq!(
        (names(&spool), names(&inbox)),
        (vec![".hidden".into(), "3.part".into(), "folder".into()], vec!["1.json".into(), "2.json".into()])
    );
    assert_eq!(fs::read_to_string(inbox.join("2.json")).unwrap(), "2.json");
    // A name that is taken: what lies there stays, and the others are moved.
    put("2.json", "another");
    to(&inbox).fails("returned 1: 2.json: /inbox/2.json is there already\n");
    assert_eq!(names(&inbox), ["1.json", "2.json", "3.part"]);
    assert_eq!(fs::read_to_string(inbox.join("2.json")).unwrap(), "2.json");
    // Onto another file system it is a copy, and nothing else is left there.
    fs::create_dir_all(&shared.0).unwrap();
    assert_ne!(
        fs::metadata(&shared.0).unwrap().dev(),
        fs::metadata(&spool).unwrap().dev(),
        "/dev/shm is no file system of its own"
    );
    to(&shared.0).does("log: 1 of 1 files moved\n");
    assert_eq!((names(&spool), names(&shared.0)), (vec![".hidden".into(), "folder".into()], vec!["2.json".into()]));
    assert_eq!(fs::read_to_string(shared.0.join("2.json")).unwrap(), "another");
    Play::new(folder, wasm).fails("returned 1: /spool: ");
}

/// `state.c`
fn writes_a_state_and_moves_files(folder: &Folder, wasm: &str) {
    let [state, spool, new, done] = folders(&folder.0, ["state", "spool", "spool/new", "spool/done"]);
    fs::write(new.join("job"), "x").unwrap();
    Play::new(folder, wasm).dir("/state", &state).dir("/spool", &spool).does("log: 1 files moved\n");
    let text = fs::read_to_string(state.join("final.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["reason"], "stop");
    assert!(json["run_id"].as_str().is_some_and(|id| !id.is_empty()), "{text}");
    assert_eq!((names(&state), names(&new), names(&done)), (vec!["final.json".into()], vec![], vec!["job".into()]));
    Play::new(folder, wasm).dir("/spool", &spool).fails("returned 1: /state/.final.json: ");
}

/// The recipe of the committed files: what it makes does its work and, by the compilers it names, is what is committed.
#[test]
fn the_committed_files_are_built_from_source() {
    let libc = "/usr/lib/wasm32-wasi/libc.a";
    if !has_tools(&["clang", "wasm-ld", "wat2wasm"]) {
        return;
    }
    if !Path::new(libc).exists() {
        return skipped(libc);
    }
    let folder = Folder::new("committed");
    make(&source(""), &[&format!("OUT={}", folder.0.display())]);
    writes_a_state_and_moves_files(&folder, "state.wasm");
    let version = |tool| String::from_utf8(Command::new(tool).arg("--version").output().unwrap().stdout).unwrap();
    if !version("clang").contains("clang version 14.") || !version("wat2wasm").starts_with("1.0.32") {
        println!("not compared: other compilers than the recipe's make other files");
        return;
    }
    for name in ["deregister.wasm", "state.wasm", "quit.wasm"] {
        assert!(
            fs::read(folder.0.join(name)).unwrap() == fs::read(source(name)).unwrap(),
            "{name} is not what its source makes"
        );
    }
}
