//! What deploy/ says, done: the templates boot, the image's root runs by itself, the unit and the
//! compose file name what is there.

use crate::command::{signal, watchfire};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}{error}");
    said
}

/// Ended with the test.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn node(at: &Path, name: &str, more: &[&str]) -> Node {
    let out = fs::File::create(at.join(format!("{name}.out"))).unwrap();
    let error = out.try_clone().unwrap();
    let config = format!("{name}.toml");
    let child = watchfire(at)
        .args(["node", "--config", &config])
        .args(more)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(error)
        .spawn();
    Node(child.unwrap())
}

fn ready(at: &Path, name: &str) {
    let since = Instant::now();
    loop {
        let said = fs::read_to_string(at.join(format!("{name}.out"))).unwrap();
        if said.contains("ready: ") {
            return;
        }
        assert!(since.elapsed() < LONG, "{name}: {said}");
        sleep(Duration::from_millis(50));
    }
}

/// Boots the template of so many regions on loopback, as its own words say.
fn boots(regions: &str, names: &[&str], thousand: u16) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    done(watchfire(at).args(["config", "template", regions, "--cluster", "prod"]));
    done(watchfire(at).args(["ca", "init", "prod", "--folder", "."]));
    let first = thousand * 1_000 + (std::process::id() % 100) as u16 * 8;
    let free = |p: u16| TcpListener::bind(("127.0.0.1", p)).is_ok();
    let port = (first..first + 990).find(|p| (*p..p + 5).all(free)).unwrap();
    for name in names {
        let region = name.split('-').next().unwrap();
        done(watchfire(at).args(["ca", "issue", name, "--region", region, "--folder", "."]));
        let path = at.join(format!("{name}.toml"));
        let mut config = fs::read_to_string(&path).unwrap();
        for (n, other) in (0..).zip(names) {
            let (address, here) = (format!("{other}.example.net:7800"), port + n);
            config = config.replace(&address, &format!("127.0.0.1:{here}"));
            if other == name {
                config = config.replace("0.0.0.0:7800", &format!("127.0.0.1:{here}"));
            }
        }
        fs::write(&path, config).unwrap();
        done(watchfire(at).args(["config", "check", &format!("{name}.toml")]));
    }
    done(watchfire(at).args(["ca", "issue", "me", "--operator", "--folder", "."]));
    let operator = format!(
        "nodes = [\"127.0.0.1:{port}\"]\n[tls]\nauthorities = \"ca.pem\"\n\
         certificate = \"me.pem\"\nkey = \"me.key\"\n"
    );
    fs::write(at.join("operator.toml"), operator).unwrap();
    let found = node(at, names[0], &["--found", "--end-when-ready"]);
    let mut found = found;
    assert!(found.0.wait().unwrap().success());
    let mut nodes = Vec::new();
    for name in names {
        nodes.push(node(at, name, &[]));
        ready(at, name);
    }
    let said = done(watchfire(at).args(["cluster", "status", "--cluster", "operator.toml"]));
    for name in names {
        assert!(said.contains(name), "{said}");
    }
    // SIGTERM is how a service ends.
    for mut node in nodes {
        signal(&node.0, "TERM");
        assert!(node.0.wait().unwrap().success());
    }
}

#[test]
fn the_template_of_one_region_boots() {
    boots("1-region", &["eu-1", "eu-2", "eu-3"], 31);
}

#[test]
fn the_template_of_three_regions_boots() {
    boots("3-region", &["eu-1", "us-1", "ap-1"], 32);
}

#[test]
fn the_template_of_five_regions_boots() {
    boots("5-region", &["eu-1", "us-1", "ap-1", "sa-1", "af-1"], 33);
}

#[test]
fn the_image_runs_with_nothing_else_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let binary = env!("CARGO_BIN_EXE_watchfire");
    done(Command::new(deploy().join("image/build")).arg(binary).arg(&image));
    assert!(image.join("Dockerfile").exists());
    let inside = ["--map-root-user", "--root"];
    let run = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(inside).arg(image.join("rootfs")).arg("/bin/watchfire").args(arguments);
        command.env_clear().output()
    };
    let version = match run(&["--version"]) {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: no unshare here: {error}");
            return;
        }
    };
    let said = String::from_utf8_lossy(&version.stderr).into_owned();
    if said.contains("unshare failed") || said.contains("Operation not permitted") {
        eprintln!("skipped: {said}");
        return;
    }
    assert!(version.status.success(), "{said}");
    // Threads, files and signatures work there, too: an authority is made.
    let made = run(&["ca", "init", "demo", "--folder", "/data"]).unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(image.join("rootfs/data/ca.pem").exists());
}

#[test]
fn what_the_files_name_is_there() {
    let compose = fs::read_to_string(deploy().join("compose/compose.yaml")).unwrap();
    let unit = fs::read_to_string(deploy().join("systemd/watchfire@.service")).unwrap();
    let help = done(watchfire(Path::new(".")).args(["node", "--help"]));
    for (file, option) in
        [(&compose, "--config"), (&compose, "--end-when-ready"), (&unit, "--found")]
    {
        assert!(file.contains(option) && help.contains(option), "{option}");
    }
    for name in ["eu-1", "us-1", "ap-1"] {
        assert!(compose.contains(&format!("/etc/watchfire/{name}.toml")), "{name}");
    }
}

#[test]
fn compose_gets_what_it_mounts() {
    let folder = tempfile::tempdir().unwrap();
    let copied = folder.path().join("deploy");
    done(Command::new("cp").arg("-r").arg(deploy()).arg(&copied));
    let _ = fs::remove_dir_all(copied.join("compose/etc"));
    let _ = fs::remove_dir_all(copied.join("compose/image"));
    let prepare = copied.join("compose/prepare");
    done(Command::new(&prepare).arg(env!("CARGO_BIN_EXE_watchfire")));
    for name in ["eu-1", "us-1", "ap-1"] {
        let etc = copied.join("compose/etc").join(name);
        let config = fs::read_to_string(etc.join(format!("{name}.toml"))).unwrap();
        assert!(config.contains(&format!("data = \"/data/{name}\"")), "{config}");
        assert!(config.contains(&format!("advertise = \"{name}:7800\"")), "{config}");
        for end in ["pem", "key"] {
            assert!(etc.join(format!("{name}.{end}")).exists());
        }
    }
}
