//! Who will kill this process, and after how long. Each answer is an assumption: what was configured there cannot be seen.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::origin::{Origin, Setting};

/// Something that starts, stops and kills processes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Platform {
    /// A pod: `terminationGracePeriodSeconds`, 30 s unless changed.
    Kubernetes,
    /// A container of Docker or Podman: 10 s unless changed.
    Docker,
    /// A unit: `TimeoutStopSec`; distributions differ, so it counts only where somebody told it (spec 5.2).
    Systemd,
    /// `kill_timeout`, 1.6 s unless changed.
    Pm2,
    /// `kill_timeout`, 5 s unless changed.
    Nomad,
    /// `stopwaitsecs`, 10 s unless changed.
    Supervisord,
}

impl Platform {
    /// Its name in messages and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Platform::Kubernetes => "kubernetes",
            Platform::Docker => "docker",
            Platform::Systemd => "systemd",
            Platform::Pm2 => "pm2",
            Platform::Nomad => "nomad",
            Platform::Supervisord => "supervisord",
        }
    }

    /// The grace where nobody changed it, for platforms on which that can be assumed.
    #[must_use]
    pub fn usual_grace(self) -> Option<Duration> {
        Some(match self {
            Platform::Kubernetes => Duration::from_secs(30),
            Platform::Docker | Platform::Supervisord => Duration::from_secs(10),
            Platform::Pm2 => Duration::from_millis(1600),
            Platform::Nomad => Duration::from_secs(5),
            Platform::Systemd => return None,
        })
    }
}

/// What is around this process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Surroundings {
    /// Every platform whose marks were seen; one may run inside another.
    pub seen: Vec<Platform>,
    /// systemd's stop timeout, where somebody asked systemd; it is not in the environment.
    pub stop_timeout: Option<Duration>,
}

impl Surroundings {
    /// Looks for marks through two functions, one for variables and one for files.
    #[must_use]
    pub fn detect(env: &dyn Fn(&str) -> Option<OsString>, exists: &dyn Fn(&Path) -> bool) -> Surroundings {
        let set = |name: &str| env(name).is_some_and(|v| !v.is_empty());
        let file = |path: &str| exists(Path::new(path));
        let marks = [
            (Platform::Kubernetes, set("KUBERNETES_SERVICE_HOST")),
            (Platform::Nomad, set("NOMAD_ALLOC_ID")),
            (Platform::Docker, file("/.dockerenv") || file("/run/.containerenv")),
            (Platform::Systemd, set("NOTIFY_SOCKET") || set("INVOCATION_ID")),
            (Platform::Pm2, set("pm_id")),
            (Platform::Supervisord, set("SUPERVISOR_ENABLED")),
        ];
        Surroundings { seen: marks.into_iter().filter(|(_, seen)| *seen).map(|(p, _)| p).collect(), stop_timeout: None }
    }

    /// True in a pod (spec 4.2).
    #[must_use]
    pub fn kubernetes(&self) -> bool {
        self.seen.contains(&Platform::Kubernetes)
    }

    /// The grace of whoever kills first. A container's mark says nothing where an orchestrator runs the container.
    #[must_use]
    pub fn grace(&self) -> Option<Setting<Duration>> {
        let orchestrated = self.kubernetes() || self.seen.contains(&Platform::Nomad);
        let counts = |p: &Platform| !(orchestrated && *p == Platform::Docker);
        let grace = |p: Platform| match (p, self.stop_timeout) {
            (Platform::Systemd, Some(told)) => Some(Setting::new(told, Origin::Told(p.name()))),
            _ => p.usual_grace().map(|g| Setting::new(g, Origin::Platform(p.name()))),
        };
        self.seen.iter().copied().filter(counts).filter_map(grace).min_by_key(|s| s.value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn around(vars: &[&str], files: &[&str]) -> Surroundings {
        Surroundings::detect(&|name| vars.contains(&name).then(|| "x".into()), &|path| {
            files.iter().any(|f| Path::new(f) == path)
        })
    }

    #[test]
    fn each_platform_has_its_usual_grace() {
        for (vars, files, name, ms) in [
            (&["KUBERNETES_SERVICE_HOST"][..], &[][..], "kubernetes", 30_000),
            (&[], &["/.dockerenv"], "docker", 10_000),
            (&[], &["/run/.containerenv"], "docker", 10_000),
            (&["pm_id"], &[], "pm2", 1_600),
            (&["NOMAD_ALLOC_ID"], &[], "nomad", 5_000),
            (&["SUPERVISOR_ENABLED"], &[], "supervisord", 10_000),
        ] {
            let grace = around(vars, files).grace().unwrap();
            assert_eq!(grace, Setting::new(Duration::from_millis(ms), Origin::Platform(name)));
        }
        assert_eq!(around(&[], &[]).grace(), None);
        assert_eq!(around(&["NOTIFY_SOCKET", "INVOCATION_ID"], &[]).grace(), None, "not told, so not assumed");
        assert_eq!(around(&["PM2_HOME"], &[]).grace(), None, "a shell may have it");
    }

    #[test]
    fn the_first_to_kill_counts() {
        let name = |s: &Surroundings| s.grace().unwrap().origin;
        assert_eq!(name(&around(&["KUBERNETES_SERVICE_HOST"], &["/run/.containerenv"])), Origin::Platform("kubernetes"));
        assert_eq!(name(&around(&["NOMAD_ALLOC_ID"], &["/.dockerenv"])), Origin::Platform("nomad"));
        assert_eq!(name(&around(&["KUBERNETES_SERVICE_HOST", "pm_id"], &[])), Origin::Platform("pm2"));
        assert_eq!(name(&around(&["INVOCATION_ID"], &["/.dockerenv"])), Origin::Platform("docker"));
        assert!(around(&["KUBERNETES_SERVICE_HOST", "pm_id"], &[]).kubernetes());
    }

    #[test]
    fn what_systemd_told_is_no_assumption() {
        let told = Surroundings { stop_timeout: Some(Duration::from_secs(20)), ..around(&["NOTIFY_SOCKET"], &[]) };
        assert_eq!(told.grace(), Some(Setting::new(Duration::from_secs(20), Origin::Told("systemd"))));
    }
}
