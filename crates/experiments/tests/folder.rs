//! One comparison a folder. In a process of its own, which starts no other: a child holds what its parent has open until
//! it has become another program.

use std::fs;
use std::sync::mpsc;

use tidemill_experiments::folder::Folder;

#[test]
fn a_folder_has_one_comparison_at_a_time_and_no_memory_of_dead_ones() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("new/out");
    let first = Folder::take(&path).unwrap();
    let error = Folder::take(&path).unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", std::process::id())) && error.contains("--out"), "{error}");
    let owner = fs::read_to_string(path.join(".lock")).unwrap();
    drop(first);
    // A process of another host, one that is not there, and what an older version or a full disk may have left.
    let gone = owner.replace(&std::process::id().to_string(), "999999999");
    for owner in ["17 another.host\n", &gone, "999999999\n", "", "half a li"] {
        fs::write(path.join(".lock"), owner).unwrap();
        drop(Folder::take(&path).unwrap());
    }
    let held = Folder::take(&path).unwrap();
    fs::write(path.join(".lock"), "17 another.host\n").unwrap();
    let error = Folder::take(&path).unwrap_err().to_string();
    assert!(error.contains("process 17 on another.host"), "{error}");

    // As if the process that took it were gone, and a run that inherited the lock were not: it is waited for.
    fs::write(path.join(".lock"), gone).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drop(Folder::take(&path).unwrap());
            sender.send(()).unwrap();
        });
        assert!(receiver.try_recv().is_err(), "it is still held");
        drop(held);
        receiver.recv().unwrap();
    });
}
