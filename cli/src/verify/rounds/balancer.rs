//! A real load balancer in front of the instances: nginx or haproxy, with a configuration as people write it.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Its configuration, in its folder.
const CONFIG: &str = "balancer.conf";

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Behind {
    /// Whichever is installed
    Auto,
    /// nginx: reloaded with the instance taken out as it gets its signal, and again when it is back
    Nginx,
    /// haproxy: asks each instance's --ready URL every 50 ms
    Haproxy,
}

impl Behind {
    /// One that is installed, and its program.
    ///
    /// # Errors
    /// None is; with what to install.
    pub fn found(self) -> Result<(Behind, PathBuf), String> {
        let wanted: &[Behind] = match self {
            Behind::Auto => &[Behind::Haproxy, Behind::Nginx],
            Behind::Nginx => &[Behind::Nginx],
            Behind::Haproxy => &[Behind::Haproxy],
        };
        let installed = |b: &Behind| Some((*b, program(b.name())?));
        wanted.iter().find_map(installed).ok_or_else(|| {
            let names: Vec<&str> = wanted.iter().map(|b| b.name()).collect();
            format!("--rounds puts a load balancer in front of the service, and {} is not installed; install it (apt-get install {})", names.join(" or "), names[0])
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Behind::Auto => "auto",
            Behind::Nginx => "nginx",
            Behind::Haproxy => "haproxy",
        }
    }

    /// Does it take every instance for well, as far as it can be asked? nginx has no opinion: it tries one after the other.
    pub fn sees_all(self, folder: &Path) -> bool {
        if self == Behind::Nginx {
            return true;
        }
        let ask = || -> io::Result<String> {
            let mut stats = UnixStream::connect(folder.join("stats"))?;
            stats.set_read_timeout(Some(Duration::from_secs(2)))?;
            stats.write_all(b"show stat\n")?;
            let mut answer = String::new();
            stats.read_to_string(&mut answer)?;
            Ok(answer)
        };
        // Name of the proxy, of the server, 15 figures, status.
        let up = |line: &str| line.split(',').nth(17).is_some_and(|s| s == "UP");
        ask().is_ok_and(|csv| csv.lines().filter(|l| l.starts_with("instances,i")).all(up))
    }

    /// Starts it in `folder`, listening on `port`.
    pub fn start(self, program: &Path, folder: &Path, port: u16, instances: &[u16], ready: &str) -> io::Result<Child> {
        let file = folder.join(CONFIG);
        let mut command = Command::new(program);
        if self == Behind::Nginx {
            fs::write(&file, nginx(folder, port, instances, None))?;
            command.arg("-e").arg(folder.join("error.log")).arg("-p").arg(folder).arg("-c").arg(&file);
        } else {
            fs::write(&file, haproxy(folder, port, instances, ready))?;
            command.arg("-db").arg("-f").arg(&file);
        }
        let log = fs::File::create(folder.join("balancer.log"))?;
        // A group of its own, so that its workers end with it.
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).spawn()
    }

    /// Says that the instance `leaving` is to get no more requests, or that all are. haproxy finds out by itself; nginx asks
    /// nobody, and is told as by a deployment's script: its configuration is written anew and loaded.
    pub fn tell(self, balancer: &Child, folder: &Path, port: u16, instances: &[u16], leaving: Option<usize>) -> io::Result<()> {
        if self == Behind::Nginx {
            fs::write(folder.join(CONFIG), nginx(folder, port, instances, leaving))?;
            // SAFETY: plain integers; the child is not waited for yet, so the number is still its own.
            unsafe { libc::kill(balancer.id() as i32, libc::SIGHUP) };
        }
        Ok(())
    }
}

/// In PATH, or where Debian puts programs for root.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    folders.map(|f| f.join(name)).find(|p| p.is_file())
}

/// Without keep-alive towards clients: a reload closes what is idle, and whoever sends a request just then loses it.
fn nginx(folder: &Path, port: u16, instances: &[u16], leaving: Option<usize>) -> String {
    let down = |i: usize| if leaving == Some(i) { " down" } else { "" };
    let servers: String =
        instances.iter().enumerate().map(|(i, p)| format!("    server 127.0.0.1:{p} max_fails=0{};\n", down(i))).collect();
    let f = folder.display();
    format!(
        "daemon off;\nworker_processes 1;\npid {f}/pid;\nerror_log {f}/error.log;\nevents {{ worker_connections 1024; }}\nhttp {{\n  \
         access_log off;\n  keepalive_timeout 0;\n  client_body_temp_path {f}/body;\n  proxy_temp_path {f}/proxy;\n  \
         fastcgi_temp_path {f}/fastcgi;\n  uwsgi_temp_path {f}/uwsgi;\n  scgi_temp_path {f}/scgi;\n  upstream instances {{\n{servers}  }}\n  \
         server {{\n    listen 127.0.0.1:{port};\n    location / {{\n      proxy_pass http://instances;\n      \
         proxy_connect_timeout 1s;\n    }}\n  }}\n}}\n"
    )
}

fn haproxy(folder: &Path, port: u16, instances: &[u16], ready: &str) -> String {
    let servers: String = instances.iter().enumerate().map(|(i, p)| format!("  server i{i} 127.0.0.1:{p} check\n")).collect();
    format!(
        "global\n  maxconn 2000\n  stats socket {}/stats\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  timeout server 30s\n  timeout check 2s\n  retries 3\n  \
         option redispatch\nfrontend in\n  bind 127.0.0.1:{port}\n  default_backend instances\nbackend instances\n  balance roundrobin\n  \
         option httpchk GET {ready}\n  default-server inter 50ms fastinter 20ms downinter 50ms fall 1 rise 1\n{servers}",
        folder.display()
    )
}
