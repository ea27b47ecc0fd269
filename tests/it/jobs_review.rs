//! What a review of bulk jobs found, each with the test that showed it.

use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use pairbox::control::{Client, JobCreate, JobPart, JobRehearsal, JobRehearse, JobUpload, PartAsk};
use pairbox::jobs::{JobFile, NewJob};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};

use super::job_scene::{Bulk, ends};
use super::scene::{card_serial, stb_serial, wait_until};

#[test]
fn a_script_that_hides_data_in_functions_fails_its_rows_and_ends_nobody() {
    let bulk = Bulk::new("", 4);
    let _served = bulk.serve();
    bulk.pairs("cards.csv", 0, 2);
    // Each was the end of the process: a chain whose fall takes the stack, a circle that is never given back, memory that
    // doubles with each step.
    for hiding in [
        "let f = (); loop { let g = f; f = [[#{ a: [|| g] }]]; }",
        "let f = (); loop { let g = f; f = || g; }",
        "let m = #{ s: blob(1000000) }; m.f = || m.s;",
        "let f = Fn(\"row\"); loop { f = f.curry(f); }",
    ] {
        bulk.write("hiding.rhai", &format!("fn row(row, job) {{ {hiding} }}\n"));
        let said = bulk.run(&["run", "hiding.rhai", "--input", "cards.csv"]);
        assert_eq!(said.code, 1);
        assert!(said.err.contains("does not compile"), "{}", said.err);
    }
    // Nothing else is as deep as the operations allow.
    for deep in [
        "let a = []; loop { a = [a]; }",
        "let a = []; loop { a = [#{ a: [a] }]; }",
    ] {
        bulk.write("deep.rhai", &format!("fn row(row, job) {{ {deep} }}\n"));
        let report = bulk.job("deep.rhai", "cards.csv", &[]);
        assert_eq!(ends(&report), [0, 0, 0, 2], "{report}");
        bulk.write(
            "options.rhai",
            &format!("fn options() {{ {deep} }}\nfn row(row, job) {{ skip(\"no\"); }}\n"),
        );
        let said = bulk.run(&["run", "options.rhai", "--input", "cards.csv"]);
        assert!(said.err.contains("stopped"), "{}", said.err);
    }
    assert_eq!(bulk.run(&["status"]).code, 0);
}

#[test]
fn a_dry_run_waits_for_no_job_and_lets_none_go_on() {
    let bulk = Bulk::new("", 90);
    for (input, from) in [("one.csv", 0), ("two.csv", 30), ("three.csv", 60)] {
        bulk.pairs(input, from, from + 30);
    }
    let slowly = |input| {
        [
            "run",
            "pair_from_csv",
            "--input",
            input,
            "--detach",
            "--rate",
            "1",
        ]
    };
    let served = bulk.serve();
    bulk.made.run(&slowly("one.csv"));
    bulk.made.run(&slowly("two.csv"));
    let dry = bulk.job("pair_from_csv", "three.csv", &["--dry-run"]);
    assert_eq!(ends(&dry), [30, 0, 0, 0]);
    assert_eq!(bulk.report(1)["state"], "running");
    served.stop();
    // Offline it would have taken them further.
    let before = (bulk.report(1), bulk.report(2));
    let dry = bulk.job("pair_from_csv", "three.csv", &["--dry-run"]);
    assert_eq!(ends(&dry), [30, 0, 0, 0]);
    assert_eq!((bulk.report(1), bulk.report(2)), before);
}

#[test]
fn what_was_handed_in_is_one_job_or_one_dry_run_and_nothing_else() {
    let bulk = Bulk::new("", 4);
    let _served = bulk.serve();
    let client = Client::find(&bulk.made.data()).unwrap().unwrap();
    let script = "fn row(row, job) { pair(row.smartcard, row.stb, #{ resend: true }); }";
    let input = format!(
        "smartcard,stb,input_line,input_fault\n{},{},2,\n",
        card_serial(0),
        stb_serial(0)
    );
    let job = hand_in(&client, script, &input);
    client.call::<JobRehearse>("me", &job).unwrap();
    // Its end takes the folder away, under a job that is made of it too.
    client.call::<JobCreate>("me", &job).unwrap_err();
    let part = PartAsk::new(&job.folder, JobFile::Input, input.len() as u64, b"1,2,3,\n");
    client.call::<JobPart>("me", &part).unwrap_err();
    wait_until(
        || {
            client
                .call::<JobRehearsal>("me", &job.folder)
                .unwrap()
                .is_over
        },
        || "the dry run ends".to_owned(),
    );
    let job = hand_in(&client, script, &input);
    let created = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| client.call::<JobCreate>("me", &job).is_ok()))
            .collect();
        let ends = callers.into_iter().map(|caller| caller.join().unwrap());
        ends.filter(|is_created| *is_created).count()
    });
    assert_eq!(created, 1);
    wait_until(
        || bulk.report(1)["state"] == "done",
        || bulk.report(1).to_string(),
    );
    assert_eq!(bulk.requests(), 1);
}

#[test]
fn what_was_refused_takes_no_room_from_the_next() {
    let bulk = Bulk::new("", 2);
    let _served = bulk.serve();
    bulk.pairs("cards.csv", 0, 2);
    bulk.write("other.csv", "card,stb\n1,2\n");
    for _ in 0..17 {
        let said = bulk.run(&["run", "pair_from_csv", "--input", "other.csv"]);
        assert!(
            said.err.contains("column `smartcard` is missing"),
            "{}",
            said.err
        );
    }
    let jobs = bulk.made.data().join("jobs");
    assert_eq!(std::fs::read_dir(jobs).unwrap().count(), 0);
    assert_eq!(
        ends(&bulk.job("pair_from_csv", "cards.csv", &[])),
        [2, 0, 0, 0]
    );
}

#[test]
fn failed_rows_are_told_however_wide_they_are() {
    let bulk = Bulk::new("", 2);
    let _served = bulk.serve();
    // One chunk of them is more than one answer may be.
    let mut text = String::from("smartcard,stb,note\n");
    for at in 0..400 {
        let note = format!("{at} {}", "\"\"".repeat(2_500));
        writeln!(text, "77{at},{},\"{note}\"", stb_serial(0)).unwrap();
    }
    bulk.write("wide.csv", &text);
    let report = bulk.job("pair_from_csv", "wide.csv", &["--stop-after", "0"]);
    assert_eq!(ends(&report), [0, 0, 0, 400], "{report}");
    let mut failed = csv::Reader::from_path(bulk.made.path().join("wide.failures.csv")).unwrap();
    let lines: Vec<String> = failed
        .records()
        .map(|row| row.unwrap()[3].to_owned())
        .collect();
    let wanted: Vec<String> = (2..402).map(|line: u32| line.to_string()).collect();
    assert_eq!(lines, wanted);
}

#[test]
fn a_later_row_of_the_same_chunk_takes_an_stb_over_where_that_is_the_policy() {
    let bulk = Bulk::with("", 4, "[pairing]\nstb_taken = \"replace\"");
    let _served = bulk.serve();
    let lines = (0..3).map(|card| format!("{},{}\n", card_serial(card), stb_serial(0)));
    let text = lines.collect::<Vec<_>>().concat();
    bulk.write("cards.csv", &format!("smartcard,stb\n{text}"));
    let dry = bulk.job("pair_from_csv", "cards.csv", &["--dry-run"]);
    let report = bulk.job("pair_from_csv", "cards.csv", &["--wait"]);
    assert_eq!(ends(&report), [3, 0, 0, 0], "{report}");
    assert_eq!(ends(&dry), ends(&report));
    let list = bulk.run(&["pairing", "list", "--output", "json"]).json();
    let pairings = list.as_array().unwrap();
    assert_eq!(pairings.len(), 1, "{list}");
    assert_eq!(pairings[0]["card"], card_serial(2));
}

#[test]
fn a_second_interruption_ends_a_free_script_that_waits_for_its_input() {
    let bulk = Bulk::new("", 2);
    let _served = bulk.serve();
    bulk.write(
        "read.rhai",
        "fn main(args) { print(1); input_by(\"smartcard\"); }\n",
    );
    let mut command = bulk.made.command(&["run", "read.rhai", "--input", "-"]);
    let mut running = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 2];
    running
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut said)
        .unwrap();
    let id = Pid::from_child(&running);
    let mut end = None;
    wait_until(
        || {
            kill_process(id, Signal::INT).unwrap();
            end = running.try_wait().unwrap();
            end.is_some()
        },
        || "it hears nobody".to_owned(),
    );
    assert_eq!(end.unwrap().signal(), Some(Signal::INT.as_raw()));
}

#[test]
fn a_plan_is_there_when_it_is_whole_and_is_a_file() {
    let bulk = Bulk::new("", 4);
    bulk.pairs("cards.csv", 0, 4);
    bulk.write(
        "planner.rhai",
        "fn main(args) {\n    for row in input_by(\"smartcard\") {\n        plan(#{ smartcard: row.smartcard, stb: row.stb });\n        if \"break\" in args { throw \"broken off\"; }\n    }\n}\nfn row(row, job) { pair(row.smartcard, row.stb); }\n",
    );
    let run = ["run", "planner.rhai", "--input", "cards.csv"];
    let said = bulk.run(&[&run[..], &["--arg", "break=1"]].concat());
    assert!(said.err.contains("broken off"), "{}", said.err);
    let plans = || {
        let names = std::fs::read_dir(bulk.made.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.contains("plan.csv"))
            .collect::<Vec<_>>()
    };
    assert_eq!(plans(), Vec::<String>::new());
    assert_eq!(bulk.run(&run).code, 3);
    assert_eq!(plans(), ["cards.plan.csv"]);
    let piped = bulk.run(&["run", "planner.rhai", "--apply", "-"]);
    assert_eq!(piped.code, 2, "{}", piped.err);
    let report = bulk.run(&[
        "run",
        "planner.rhai",
        "--apply",
        "cards.plan.csv",
        "--output",
        "json",
    ]);
    assert_eq!(ends(&report.json()), [4, 0, 0, 0]);
}

#[test]
fn an_input_leaves_the_reserve_of_the_disk_alone() {
    let bulk = Bulk::new("", 2);
    bulk.pairs("cards.csv", 0, 2);
    let config = bulk.made.path().join("pairbox.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"1MiB\"", "\"1000GiB\"")).unwrap();
    let _served = bulk.serve();
    let said = bulk.run(&["run", "pair_from_csv", "--input", "cards.csv"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(
        said.err.contains("too little free disk space") && said.err.contains("hint: free space"),
        "{}",
        said.err
    );
    let jobs = bulk.made.data().join("jobs");
    assert_eq!(std::fs::read_dir(jobs).unwrap().count(), 0);
}

#[test]
fn what_rows_ask_for_is_held_only_as_far_as_it_may_be_asked_for() {
    let bulk = Bulk::new("", 2);
    let served = bulk.serve();
    let rows = (0..256).map(|row| format!("{row},1\n"));
    let rows = rows.collect::<Vec<_>>().concat();
    bulk.write("rows.csv", &format!("smartcard,stb\n{rows}"));
    let long = "let long = \"x\"; while long.len() < 120000 { long += long; }";
    for (script, act) in [
        (
            "notes.rhai",
            "for at in 0..16 { register_item(#{ product: \"SC-0\", serial_number: row.smartcard + at, \
             alternative_code: row.smartcard + at, notes: long + at }); }",
        ),
        (
            "number.rhai",
            "for at in 0..16 { register_subscription(#{ number: long + at }); }",
        ),
        ("thrown.rhai", "throw long;"),
        ("failed.rhai", "fail(long);"),
    ] {
        bulk.write(script, &format!("fn row(row, job) {{ {long} {act} }}\n"));
        let report = bulk.job(script, "rows.csv", &["--stop-after", "0"]);
        assert_eq!(ends(&report), [0, 0, 0, 256], "{script}: {report}");
    }
    let most = served.memory_mib_max();
    assert!(most < 250, "{most} MiB for a chunk");
}

#[test]
fn who_leaves_before_the_end_is_not_told_that_all_is_done() {
    let bulk = Bulk::new("", 40);
    bulk.pairs("cards.csv", 0, 30);
    bulk.pairs("card.csv", 30, 31);
    let run = ["run", "pair_from_csv", "--input"];
    // Here nobody goes on with the job.
    let offline = [&run[..], &["cards.csv", "--rate", "1"]].concat();
    let (left, said) = interrupted(&bulk, &offline, |_| {
        bulk.made
            .data()
            .join("jobs")
            .read_dir()
            .is_ok_and(|mut jobs| jobs.next().is_some())
    });
    assert_eq!(left, Some(3), "{said}");
    bulk.made
        .run(&["provider", "pause", "north", "--reason", "no answers"]);
    bulk.made
        .run(&["job", "cancel", "1", "--reason", "in the way"]);
    let _served = bulk.serve();
    let waiting = [&run[..], &["card.csv", "--wait"]].concat();
    let (left, said) = interrupted(&bulk, &waiting, |bulk| {
        let jobs = bulk.run(&["job", "list", "--output", "json"]).json();
        jobs.as_array()
            .unwrap()
            .iter()
            .any(|job| job["pending"] == 1 && job["id"] == 2)
    });
    assert_eq!(left, Some(3), "{said}");
}

/// Runs a command until `is_under_way`, interrupts it, and answers how it ended and what it said.
fn interrupted(
    bulk: &Bulk,
    arguments: &[&str],
    is_under_way: impl Fn(&Bulk) -> bool,
) -> (Option<i32>, String) {
    let mut command = bulk.made.command(arguments);
    let running = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until(|| is_under_way(bulk), || "it does not begin".to_owned());
    let id = Pid::from_child(&running);
    // It hears signals from the moment that it follows the job.
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("SigCgt:"))
            .unwrap();
        let mask = u64::from_str_radix(line["SigCgt:".len()..].trim(), 16).unwrap();
        mask & 2 != 0
    };
    wait_until(caught, || "it hears nobody".to_owned());
    kill_process(id, Signal::INT).unwrap();
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code(), said)
}

#[test]
fn a_script_that_prints_in_every_row_does_not_fill_the_log() {
    let bulk = Bulk::new("", 600);
    let _served = bulk.serve();
    bulk.pairs("cards.csv", 0, 600);
    bulk.write(
        "talks.rhai",
        "fn row(row, job) { for at in 0..5 { print(row.smartcard); } skip(\"enough\"); }\n",
    );
    let report = bulk.job("talks.rhai", "cards.csv", &[]);
    assert_eq!(ends(&report), [0, 0, 600, 0], "{report}");
    assert_eq!(bulk.made.log().matches("script prints").count(), 1_000);
}

#[test]
fn an_id_that_a_refused_row_brought_is_free_for_the_next() {
    let bulk = Bulk::new("", 2);
    bulk.write(
        "ids.rhai",
        "fn row(row, job) {\n    let text = row.serial;\n    register_item(#{ product: \"SC-0\", serial_number: text, \
         alternative_code: text, id: row.id });\n    register_subscription(#{ number: text, id: row.other });\n    \
         if row.pairs != \"\" { swap(text, \"1000\"); }\n}\n",
    );
    let (id, other) = ("A".repeat(32), "B".repeat(32));
    let rows = [("701", "yes"), ("702", ""), ("703", ""), ("702", "")];
    let lines = rows
        .iter()
        .map(|(serial, pairs)| format!("{serial},{id},{other},{pairs}\n"));
    let text = lines.collect::<Vec<_>>().concat();
    bulk.write("ids.csv", &format!("serial,id,other,pairs\n{text}"));
    let dry = bulk.job("ids.rhai", "ids.csv", &["--dry-run"]);
    let report = bulk.job("ids.rhai", "ids.csv", &[]);
    assert_eq!(ends(&report), [1, 1, 0, 2], "{report}");
    assert_eq!(ends(&dry), ends(&report));
    let show = |serial| bulk.run(&["item", "show", serial]).code;
    assert_eq!((show("701"), show("702"), show("703")), (1, 0, 1));
}

/// Sends a script and plain rows as the command line does.
fn hand_in(client: &Client, script: &str, input: &str) -> NewJob {
    let folder = client.call::<JobUpload>("me", &()).unwrap();
    for (file, text) in [(JobFile::Script, script), (JobFile::Input, input)] {
        let part = PartAsk::new(&folder, file, 0, text.as_bytes());
        client.call::<JobPart>("me", &part).unwrap();
    }
    let sha256 = |text: &str| hex::encode(Sha256::digest(text));
    NewJob {
        folder,
        script: "a.rhai".into(),
        input: "a.csv".into(),
        script_sha256: sha256(script),
        input_sha256: sha256(input),
        args: Vec::new(),
        rate_per_s: None,
        stop_after: None,
    }
}
