use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// What a figure depends on, as far as the system tells; nothing that names the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The processor's model.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Of its instruction sets, those that kernels are written for.
    pub flags: Vec<String>,
    /// Caches of the first processor, such as `L2 1024K`.
    pub caches: Vec<String>,
    /// Memory.
    pub memory: String,
    /// The operating system, and its kernel's release.
    pub kernel: String,
    /// The compiler.
    pub rustc: String,
    /// The commit of the working tree, `+` where it has changes.
    pub commit: String,
}

/// Instruction sets worth noting.
const FLAGS: [&str; 11] = [
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "asimd",
];

impl Machine {
    /// Looks at this machine.
    pub fn look() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let changes = said(Command::new("git").args(["status", "--porcelain"]).current_dir(root));
        let commit = said(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).current_dir(root));
        Self {
            cpu: field(&cpuinfo, "model name").unwrap_or_else(|| std::env::consts::ARCH.into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            flags: flags(&cpuinfo),
            caches: caches(Path::new("/sys/devices/system/cpu/cpu0/cache")),
            memory: field(&read("/proc/meminfo"), "MemTotal").unwrap_or_else(unknown),
            kernel: format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim()),
            rustc: said(Command::new("rustc").arg("--version")).unwrap_or_else(unknown),
            commit: match (commit, changes) {
                (Some(commit), None) => commit,
                (Some(commit), Some(_)) => format!("{commit}+"),
                (None, _) => unknown(),
            },
        }
    }

    /// Each line of a description.
    pub fn lines(&self) -> Vec<String> {
        vec![
            format!("CPU: {}, {} of its processors", self.cpu, self.cores),
            format!("instruction sets: {}", self.flags.join(" ")),
            format!("caches: {}", self.caches.join(", ")),
            format!("memory: {}", self.memory),
            format!("kernel: {}", self.kernel),
            format!("compiler: {}", self.rustc),
            format!("commit: {}", self.commit),
        ]
    }
}

fn unknown() -> String {
    "unknown".into()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn flags(cpuinfo: &str) -> Vec<String> {
    let there = field(cpuinfo, "flags").or_else(|| field(cpuinfo, "Features")).unwrap_or_default();
    let there: Vec<&str> = there.split_whitespace().collect();
    FLAGS.iter().filter(|flag| there.contains(flag)).map(|&flag| flag.to_owned()).collect()
}

fn caches(folder: &Path) -> Vec<String> {
    let cache = |index: usize| {
        let part = |name: &str| {
            Some(read(folder.join(format!("index{index}")).join(name)).trim().to_owned()).filter(|p| !p.is_empty())
        };
        let kind = match part("type")?.as_str() {
            "Data" => "d",
            "Instruction" => "i",
            _ => "",
        };
        Some(format!("L{}{kind} {}", part("level")?, part("size")?))
    };
    (0..).map_while(cache).collect()
}

/// What a command prints, if it succeeds and prints anything.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_flags_are_read_as_linux_writes_them() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx avx2 fma avx512f sse\n";
        assert_eq!(field(cpuinfo, "model name"), Some("Some CPU @ 2 GHz".into()));
        assert_eq!(flags(cpuinfo), ["avx", "avx2", "fma", "avx512f"]);
        assert_eq!(flags("Features : fp asimd"), ["asimd"]);
        assert_eq!(field("", "model name"), None);
    }

    #[test]
    fn caches_are_read_as_linux_writes_them() {
        let folder = tempfile::tempdir().unwrap();
        for (index, [level, kind, size]) in [["1", "Data", "32K"], ["2", "Unified", "1024K"]].into_iter().enumerate() {
            let index = folder.path().join(format!("index{index}"));
            fs::create_dir(&index).unwrap();
            for (name, text) in [("level", level), ("type", kind), ("size", size)] {
                fs::write(index.join(name), format!("{text}\n")).unwrap();
            }
        }
        assert_eq!(caches(folder.path()), ["L1d 32K", "L2 1024K"]);
        assert_eq!(caches(&folder.path().join("none")), [""; 0]);
    }
}
