//! The commands that need no running box: init, check, mapping, simulate, ledger and store; and every exit code.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use pairbox::control::DataLock;

use crate::cli_scene::{Scene, Transcript, initialized, pairbox};

fn told(folder: &Path, name: &str, lines: &[&[&str]]) {
    let mut transcript = Transcript::default();
    for line in lines {
        transcript.add(line, &pairbox(folder, line));
    }
    transcript.check(name);
}

#[test]
fn init_writes_a_whole_directory_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    told(
        folder.path(),
        "init",
        &[
            &["init", "box"],
            &["init", "box"],
            &["--config", "box/pairbox.toml", "check"],
        ],
    );
    let data = fs::metadata(folder.path().join("box/data")).unwrap();
    assert_eq!(data.permissions().mode() & 0o777, 0o700);
    assert!(
        folder
            .path()
            .join("box/scripts/mappings/smsgw/mapping.rhai")
            .is_file()
    );
    assert!(
        folder
            .path()
            .join("box/scripts/samples/cards.csv")
            .is_file()
    );
}

#[test]
fn check_says_every_finding_and_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    initialized(folder.path());
    let config = folder.path().join("pairbox.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text.replace("mapping = \"smsgw\"", "mapping = \"smsgv\""),
    )
    .unwrap();
    told(folder.path(), "check_mapping_name", &[&["check"]]);

    let text = text
        .replace("[http]", "[htp]")
        .replace("state = \"EFFECTIVE\"", "state = 1");
    fs::write(&config, &text).unwrap();
    told(folder.path(), "check_config", &[&["check"], &["status"]]);

    let entries = fs::read_dir(folder.path().join("data")).unwrap().count();
    assert_eq!(entries, 0, "check opened the data directory");
}

#[test]
fn check_names_the_line_of_a_script_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    initialized(folder.path());
    let script = folder.path().join("scripts/mappings/smsgw/mapping.rhai");
    let text = fs::read_to_string(&script).unwrap();
    fs::write(
        &script,
        format!("fn broken() {{ no_such_call(1) }}\n{text}"),
    )
    .unwrap();
    told(
        folder.path(),
        "check_script",
        &[&["check"], &["mapping", "check", "smsgw"]],
    );
}

#[test]
fn mappings_are_checked_and_tested_by_name() {
    let folder = tempfile::tempdir().unwrap();
    told(
        folder.path(),
        "mapping",
        &[
            &["mapping", "check", "smsgw"],
            &["mapping", "test", "smsgw"],
            &["mapping", "test", "smsgv"],
        ],
    );
}

#[test]
fn a_failed_case_is_the_answer_no() {
    let folder = tempfile::tempdir().unwrap();
    initialized(folder.path());
    let script = folder.path().join("scripts/mappings/smsgw/cases/zz.json");
    let case = r#"{"name": "wrong", "normalize": {"kind": "smartcard", "ca_id": "019000802077"}, "gives": "1",
        "cfg": {"source_id": 1, "dest_id": 2, "mop_ppid": 3}}"#;
    fs::write(script, case).unwrap();
    let ran = pairbox(folder.path(), &["mapping", "test", "smsgw"]);
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("zz.json: wrong: normalize differs"),
        "{}",
        ran.stdout
    );
}

#[test]
fn the_simulator_serves_and_ends_by_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pairbox"))
        .args([
            "simulate",
            "smsgw",
            "--listen",
            "127.0.0.1:0",
            "--fault",
            "drop=1%",
        ])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address = line.split([' ', ',']).nth(3).unwrap().to_owned();
    assert!(line.starts_with("simulating smsgw on 127.0.0.1:"), "{line}");
    std::net::TcpStream::connect(&address).unwrap();
    let killed = Command::new("kill").arg(child.id().to_string()).status();
    assert!(killed.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let wrong = pairbox(folder.path(), &["simulate", "smsgw", "--fault", "dorp=1%"]);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains("did you mean `drop`"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn the_ledger_of_a_stopped_box_is_verified_and_damage_is_named() {
    let scene = Scene::begin();
    scene.pair(&["pair", "019000802077", "004600001122"]);
    let kept = tempfile::tempdir().unwrap();
    initialized(kept.path());
    let from = scene.folder.path().join("data/ledger");
    let to = kept.path().join("data/ledger");
    fs::create_dir(&to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    told(kept.path(), "ledger_intact", &[&["ledger", "verify"]]);

    let dumped = pairbox(kept.path(), &["store", "dump"]);
    assert_eq!(dumped.code, 0, "{}", dumped.stderr);
    let rebuilt = pairbox(kept.path(), &["store", "rebuild"]);
    assert!(
        rebuilt.stdout.starts_with("rebuilt from "),
        "{}{}",
        rebuilt.stdout,
        rebuilt.stderr
    );
    let again = pairbox(kept.path(), &["store", "dump"]);
    assert_eq!(dumped.stdout, again.stdout);

    let mut segments: Vec<_> = fs::read_dir(&to)
        .unwrap()
        .map(|one| one.unwrap().path())
        .collect();
    segments.sort();
    let segment = segments
        .iter()
        .find(|path| {
            fs::read(path)
                .unwrap()
                .windows(12)
                .any(|part| part == b"019000802077")
        })
        .unwrap();
    let mut bytes = fs::read(segment).unwrap();
    let at = bytes
        .windows(12)
        .position(|part| part == b"019000802077")
        .unwrap();
    bytes[at] = b'9';
    fs::write(segment, bytes).unwrap();
    told(kept.path(), "ledger_damaged", &[&["ledger", "verify"]]);
}

#[test]
fn exit_2_is_a_wrong_command_line() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(pairbox(folder.path(), &["pear"]).code, 2);
    assert_eq!(pairbox(folder.path(), &["pair"]).code, 2);
    assert_eq!(
        pairbox(folder.path(), &["status"]).code,
        2,
        "no configuration"
    );
    assert_eq!(pairbox(folder.path(), &["--help"]).code, 0);
    assert_eq!(pairbox(folder.path(), &["--version"]).code, 0);
}

#[test]
fn exit_4_is_a_server_that_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    initialized(folder.path());
    let listener = UnixListener::bind(folder.path().join("data/control.sock")).unwrap();
    let hang_up = std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            drop(stream);
        }
    });
    let ran = pairbox(folder.path(), &["status"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("is unknown"), "{}", ran.stderr);
    hang_up.join().unwrap();
}

#[test]
fn exit_5_names_who_holds_the_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    initialized(folder.path());
    let _lock = DataLock::take(&folder.path().join("data")).unwrap();
    let ran = pairbox(folder.path(), &["item", "list"]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    let holder = format!("is held by process {}", std::process::id());
    assert!(ran.stderr.contains(&holder), "{}", ran.stderr);
    assert_eq!(pairbox(folder.path(), &["store", "dump"]).code, 5);
    assert_eq!(pairbox(folder.path(), &["serve"]).code, 5);
}

#[test]
fn exit_6_is_a_user_who_does_not_own_the_data_directory() {
    let folder = tempfile::tempdir().unwrap();
    initialized(folder.path());
    if std::os::unix::fs::chown(folder.path().join("data"), Some(12_345), None).is_err() {
        // Only root can give a directory away; `init` covers exit 6 for everyone.
        return;
    }
    let ran = pairbox(folder.path(), &["item", "list"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("belongs to user 12345"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_lock_of_a_dead_process_and_a_stale_socket_hold_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    initialized(folder.path());
    let data = folder.path().join("data");
    fs::write(data.join("lock"), "999999\n").unwrap();
    drop(UnixListener::bind(data.join("control.sock")).unwrap());
    assert!(DataLock::take(&data).is_ok());
    let ran = pairbox(folder.path(), &["ledger", "verify"]);
    assert_ne!(ran.code, 5, "{}", ran.stderr);
}
