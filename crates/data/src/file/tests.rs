use std::process::Command;
use std::sync::atomic::AtomicU64;

use super::*;

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("tidemill-file-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(&self.0).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_name_is_as_before_until_all_is_written() {
    let folder = Folder::new();
    let path = folder.0.join("a");
    write(&path, "old").unwrap();
    let mut file = NewFile::create(&path).unwrap();
    file.write_all(b"new").unwrap();
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), folder.names().len()), ("old", 2));
    drop(file);
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), folder.names()), ("old", vec!["a".to_owned()]));
    write(&path, "new").unwrap();
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), folder.names()), ("new", vec!["a".to_owned()]));
}

#[test]
fn names_of_any_kind_and_nothing_but_files() {
    let folder = Folder::new();
    let long = "x".repeat(255);
    write(folder.0.join(&long), "long").unwrap();
    assert_eq!(folder.names(), [long]);
    assert_eq!(write(&folder.0, "").unwrap_err().kind(), io::ErrorKind::IsADirectory);
    assert_eq!(write(folder.0.join("no/a"), "").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(write(folder.0.join(".."), "").is_err());
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        write(folder.0.join(OsString::from_vec(b"caf\xe9".to_vec())), "latin 1").unwrap();
        assert!(write("/dev/null", "").unwrap_err().to_string().contains("not a regular file"));
    }
}

#[cfg(unix)]
#[test]
fn permissions_are_the_umasks_or_those_of_the_file_that_is_replaced_and_links_stay() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let mode = |name: &str| fs::metadata(folder.0.join(name)).unwrap().permissions().mode() & 0o777;
    write(folder.0.join("new"), "").unwrap();
    File::create(folder.0.join("plain")).unwrap();
    assert_eq!(mode("new"), mode("plain"), "as any file that is created");
    fs::set_permissions(folder.0.join("new"), fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("new", folder.0.join("link")).unwrap();
    write(folder.0.join("link"), "through the link").unwrap();
    assert_eq!((mode("new"), fs::read_to_string(folder.0.join("new")).unwrap().as_str()), (0o640, "through the link"));
    assert!(folder.0.join("link").symlink_metadata().unwrap().file_type().is_symlink());
}

#[test]
fn what_is_being_written_is_not_abandoned() {
    let folder = Folder::new();
    let mut file = NewFile::create(folder.0.join("a")).unwrap();
    file.write_all(b"slowly").unwrap();
    remove_abandoned(&folder.0);
    let other = NewFile::create(folder.0.join("a")).unwrap();
    assert_eq!(folder.names().len(), 2, "two writers of one name");
    other.commit().unwrap();
    file.commit().unwrap();
    assert_eq!(fs::read_to_string(folder.0.join("a")).unwrap(), "slowly", "the last one to commit");
    assert_eq!(folder.names(), ["a"]);
}

/// Set in the process that this test starts: the folder, and the step before which it ends itself.
const KILLED: &str = "TIDEMILL_TEST_KILLED_BEFORE_STEP";

/// What the killed process does: replaces `a`, writes `b`, removes `c`.
fn work(folder: &Path) {
    write(folder.join("a"), "new a").unwrap();
    write(folder.join("b"), "new b").unwrap();
    remove(folder.join("c")).unwrap();
}

#[test]
fn killed_between_any_two_steps_leaves_whole_files_and_the_next_writer_cleans_up() {
    if let Some(value) = std::env::var_os(KILLED) {
        let value = value.into_string().unwrap();
        let (step, folder) = value.split_once(' ').unwrap();
        let (left, last) = (AtomicU64::new(0), step.parse::<u64>().unwrap());
        before_each_step(move |_, _| {
            if left.fetch_add(1, Ordering::Relaxed) == last {
                std::process::abort();
            }
        });
        work(Path::new(folder));
        return;
    }
    let name = "file::tests::killed_between_any_two_steps_leaves_whole_files_and_the_next_writer_cleans_up";
    let mut left_behind = 0;
    for step in 0.. {
        let folder = Folder::new();
        for file in ["a", "c"] {
            fs::write(folder.0.join(file), format!("old {file}")).unwrap();
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([name, "--exact", "--nocapture"]).env(KILLED, format!("{step} {}", folder.0.display()));
        let output = child.output().unwrap();
        let read = |file: &str| fs::read_to_string(folder.0.join(file)).unwrap_or_default();
        assert!(["old a", "new a"].contains(&&*read("a")), "step {step}: {:?}", read("a"));
        assert!(["", "new b"].contains(&&*read("b")), "step {step}: {:?}", read("b"));
        assert!(["", "old c"].contains(&&*read("c")), "step {step}: {:?}", read("c"));
        left_behind += folder.names().iter().filter(|name| name.ends_with(SUFFIX)).count();
        work(&folder.0);
        assert_eq!(folder.names(), ["a", "b"], "step {step}");
        if output.status.success() {
            assert!(step >= 11, "{step} steps");
            break;
        }
    }
    assert!(left_behind >= 4, "some were killed with a temporary file: {left_behind}");
}
