//! A real load balancer in front of the instances: nginx or haproxy, with a configuration as people write it.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Behind {
    /// Whichever is installed
    Auto,
    /// nginx: another instance is tried when one refuses the connection; nothing is sent twice that may not be
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

    /// Starts it in `folder`, listening on `port`.
    pub fn start(self, program: &Path, folder: &Path, port: u16, instances: &[u16], ready: &str) -> io::Result<Child> {
        let file = folder.join("balancer.conf");
        let text = if self == Behind::Nginx { nginx(folder, port, instances) } else { haproxy(port, instances, ready) };
        fs::write(&file, text)?;
        let mut command = Command::new(program);
        if self == Behind::Nginx {
            command.arg("-e").arg(folder.join("error.log")).arg("-p").arg(folder).arg("-c").arg(&file);
        } else {
            command.arg("-db").arg("-f").arg(&file);
        }
        let log = fs::File::create(folder.join("balancer.log"))?;
        // A group of its own, so that its workers end with it.
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).spawn()
    }
}

/// In PATH, or where Debian puts programs for root.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    folders.map(|f| f.join(name)).find(|p| p.is_file())
}

fn nginx(folder: &Path, port: u16, instances: &[u16]) -> String {
    let servers: String = instances.iter().map(|p| format!("    server 127.0.0.1:{p} max_fails=0;\n")).collect();
    let f = folder.display();
    format!(
        "daemon off;\nworker_processes 1;\npid {f}/pid;\nerror_log {f}/error.log;\nevents {{ worker_connections 1024; }}\nhttp {{\n  \
         access_log off;\n  client_body_temp_path {f}/body;\n  proxy_temp_path {f}/proxy;\n  fastcgi_temp_path {f}/fastcgi;\n  \
         uwsgi_temp_path {f}/uwsgi;\n  scgi_temp_path {f}/scgi;\n  upstream instances {{\n{servers}  }}\n  server {{\n    \
         listen 127.0.0.1:{port};\n    location / {{\n      proxy_pass http://instances;\n      proxy_connect_timeout 1s;\n      \
         proxy_next_upstream error timeout;\n    }}\n  }}\n}}\n"
    )
}

fn haproxy(port: u16, instances: &[u16], ready: &str) -> String {
    let servers: String = instances.iter().enumerate().map(|(i, p)| format!("  server i{i} 127.0.0.1:{p} check\n")).collect();
    format!(
        "global\n  maxconn 2000\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 30s\n  timeout server 30s\n  retries 3\n  \
         option redispatch\nfrontend in\n  bind 127.0.0.1:{port}\n  default_backend instances\nbackend instances\n  balance roundrobin\n  \
         option httpchk GET {ready}\n  default-server inter 50ms fastinter 20ms downinter 50ms fall 1 rise 1\n{servers}"
    )
}
