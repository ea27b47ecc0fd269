//! Bulk jobs from the command line: every row has one ending, every ending is told, nothing is stored that should not be.

use std::fmt::Write as _;
use std::fs;

use serde_json::json;

use super::job_scene::{Bulk, ends};
use super::scene::{card_serial, stb_serial, wait_until};

#[test]
fn every_row_has_one_ending_and_the_report_says_which() {
    let bulk = Bulk::new("", 8);
    let _served = bulk.serve();
    let rows = [
        (card_serial(0), stb_serial(0)),
        (card_serial(1), stb_serial(1)),
        // The same again is so already.
        (card_serial(0), stb_serial(0)),
        (card_serial(2), stb_serial(1)),
        ("77".into(), stb_serial(2)),
        (String::new(), stb_serial(3)),
        // Has nothing to give up.
        (card_serial(3), String::new()),
    ];
    let lines = rows.iter().map(|(card, stb)| format!("{card},{stb}\n"));
    let text = lines.collect::<Vec<_>>().concat();
    bulk.write("cards.csv", &format!("smartcard,stb\n{text}"));
    let dry = bulk.run(&[
        "run",
        "pair_from_csv",
        "--input",
        "cards.csv",
        "--dry-run",
        "--output",
        "json",
    ]);
    let before = bulk.requests();
    let said = bulk.run(&[
        "run",
        "pair_from_csv",
        "--input",
        "cards.csv",
        "--wait",
        "--output",
        "json",
    ]);
    let report = said.json();
    assert_eq!(ends(&report), [2, 2, 0, 3], "{report}");
    assert_eq!(
        report["reasons"],
        json!({
            "STB `{stb}` is held by smartcard `...`; unpair that card first": 1,
            "no smartcard with serial_number `{smartcard}`": 1,
            "the smartcard is empty": 1,
        })
    );
    assert_eq!(
        (&report["completed"], &report["pending"]),
        (&json!(2), &json!(0))
    );
    assert_eq!((said.code, before), (3, 0));
    // The dry run said the same, but for what the CAS does.
    assert_eq!((ends(&dry.json()), dry.code), (ends(&report), 3));
    assert_eq!(dry.json()["reasons"], report["reasons"]);

    // The failures file is mended and handed in again.
    let path = bulk.made.path().join("cards.failures.csv");
    let failed = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = failed.lines().collect();
    assert_eq!(lines[0], "smartcard,stb,failed_line,failed_reason");
    assert!(lines[1].starts_with(&format!("{},{},5,", card_serial(2), stb_serial(1))));
    assert_eq!(lines.len(), 4);
    let mended = failed.replace(
        &format!(",{},5,", stb_serial(1)),
        &format!(",{},5,", stb_serial(4)),
    );
    fs::write(&path, mended).unwrap();
    let again = bulk.job("pair_from_csv", "cards.failures.csv", &["--wait"]);
    assert_eq!(ends(&again), [1, 0, 0, 2], "{again}");
    let list = bulk.run(&["job", "list", "--output", "json"]).json();
    let ids: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|job| &job["id"])
        .collect();
    assert_eq!(ids.len(), 2, "{list}");
}

#[test]
fn what_is_so_already_is_sent_only_if_that_is_asked_for() {
    let bulk = Bulk::new("", 4);
    let _served = bulk.serve();
    bulk.pairs("cards.csv", 0, 4);
    assert_eq!(
        ends(&bulk.job("pair_from_csv", "cards.csv", &["--wait"])),
        [4, 0, 0, 0]
    );
    assert_eq!(
        ends(&bulk.job("pair_from_csv", "cards.csv", &["--wait"])),
        [0, 4, 0, 0]
    );
    let resent = bulk.job(
        "pair_from_csv",
        "cards.csv",
        &["--wait", "--arg", "resend=true"],
    );
    assert_eq!(ends(&resent), [4, 0, 0, 0]);
    assert_eq!(bulk.requests(), 8);
}

#[test]
fn a_dry_run_stores_nothing_at_all() {
    let bulk = Bulk::new("", 20);
    bulk.pairs("cards.csv", 0, 20);
    let served = bulk.serve();
    let seq = || bulk.run(&["status", "--output", "json"]).json()["ledger"]["last_seq"].clone();
    let before = seq();
    let dry = bulk.run(&["run", "pair_from_csv", "--input", "cards.csv", "--dry-run"]);
    assert!(
        dry.out.starts_with("dry run, nothing stored\n"),
        "{}",
        dry.out
    );
    assert_eq!((dry.code, seq()), (0, before));
    assert_eq!(bulk.requests(), 0);
    wait_until(
        || fs::read_dir(bulk.made.data().join("jobs")).unwrap().count() == 0,
        || "its folder goes".to_owned(),
    );
    served.stop();
}

#[test]
fn too_many_failures_pause_a_job_and_nothing_is_lost() {
    let bulk = Bulk::new("", 30);
    let _served = bulk.serve();
    let mut text = String::from("smartcard,stb\n");
    for at in 0..30 {
        let card = if at % 2 == 0 {
            "77".to_owned()
        } else {
            card_serial(at)
        };
        writeln!(text, "{card},{}", stb_serial(at)).unwrap();
    }
    bulk.write("cards.csv", &text);
    let said = bulk.run(&[
        "run",
        "pair_from_csv",
        "--input",
        "cards.csv",
        "--stop-after",
        "5",
        "--output",
        "json",
    ]);
    let report = said.json();
    assert_eq!(report["state"], "paused");
    assert_eq!((ends(&report), &report["done"]), ([4, 0, 0, 5], &json!(9)));
    assert!(said.err.contains("`pairbox job resume 1`"), "{}", said.err);
    for (done, failed) in [(19, 10), (29, 15)] {
        bulk.made.run(&["job", "resume", "1"]);
        let report = bulk.run(&["job", "watch", "1", "--output", "json"]).json();
        assert_eq!(
            (&report["done"], &report["failed"]),
            (&json!(done), &json!(failed))
        );
    }
    bulk.made.run(&["job", "resume", "1"]);
    let report = bulk.run(&["job", "watch", "1", "--output", "json"]).json();
    assert_eq!(
        (&report["state"], ends(&report)),
        (&json!("done"), [15, 0, 0, 15])
    );
    assert_eq!(bulk.requests(), 15);
}

#[test]
fn a_cancelled_job_ends_where_it_is_and_its_requests_go_on() {
    let bulk = Bulk::new("", 40);
    let _served = bulk.serve();
    bulk.pairs("cards.csv", 0, 40);
    bulk.made.run(&[
        "run",
        "pair_from_csv",
        "--input",
        "cards.csv",
        "--detach",
        "--rate",
        "1",
    ]);
    wait_until(
        || bulk.report(1)["done"].as_u64().unwrap() > 0,
        || "a row is done".to_owned(),
    );
    let told = bulk
        .made
        .run(&["job", "cancel", "1", "--reason", "the wrong file"]);
    assert!(told.contains("job 1 is cancelled behind row "), "{told}");
    let report = bulk
        .run(&["job", "watch", "1", "--wait", "--output", "json"])
        .json();
    assert_eq!(
        (&report["state"], &report["reason"]),
        (&json!("cancelled"), &json!("the wrong file"))
    );
    assert!(report["done"].as_u64().unwrap() < 40);
    let refused = bulk.run(&["job", "resume", "1"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused
            .err
            .contains("job 1 cannot be resumed: it is cancelled"),
        "{}",
        refused.err
    );
}

#[test]
fn without_a_server_rows_are_accepted_here_and_sent_when_that_is_asked_for() {
    let bulk = Bulk::new("", 6);
    bulk.pairs("cards.csv", 0, 3);
    let said = bulk.run(&["run", "pair_from_csv", "--input", "cards.csv"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err
            .contains("start `pairbox serve`, or `pairbox process`"),
        "{}",
        said.err
    );
    assert_eq!(bulk.cas.pairings(), json!({}));
    bulk.pairs("more.csv", 3, 6);
    let report = bulk.job("pair_from_csv", "more.csv", &["--wait"]);
    assert_eq!(
        (ends(&report), &report["completed"]),
        ([3, 0, 0, 0], &json!(3))
    );
    // Whatever was queued before went out too.
    wait_until(
        || bulk.cas.pairings().as_object().unwrap().len() == 6,
        || bulk.cas.pairings().to_string(),
    );
}

#[test]
fn a_row_is_done_whole_or_not_at_all() {
    let bulk = Bulk::new("", 4);
    let served = bulk.serve();
    bulk.pairs("cards.csv", 0, 1);
    bulk.job("pair_from_csv", "cards.csv", &["--wait"]);
    // The second row's STB is taken: its card must not come in. The third pairs what it brings itself.
    let text = format!(
        "smartcard,smartcard_code,smartcard_product,stb,stb_code,stb_product,subscription\n\
         019900000001,N1,SC-0,5000001,M1,STB-1,S-1\n\
         019900000002,N2,SC-0,{taken},A{taken},STB-1,S-2\n\
         019900000003,N3,SC-0,5000003,M3,STB-1,\n\
         019900000003,N3,SC-0,5000003,M3,STB-1,\n\
         019900000004,N4,SC-0,5000003,M3,STB-1,\n",
        taken = stb_serial(0)
    );
    bulk.write("batch.csv", &text);
    let dry = bulk.job("import_and_pair", "batch.csv", &["--dry-run"]);
    let report = bulk.job("import_and_pair", "batch.csv", &["--wait"]);
    assert_eq!(ends(&report), [2, 1, 0, 2], "{report}");
    assert_eq!(ends(&dry), ends(&report), "{dry}");
    let there = |serial: &str| bulk.run(&["item", "show", serial]).code == 0;
    assert!(there("019900000001") && there("019900000003") && there("5000001"));
    assert!(!there("019900000002") && !there("019900000004"));
    assert_ne!(bulk.run(&["subscription", "show", "S-2"]).code, 0);
    assert_eq!(report["completed"], 2);
    // What was taken back is not in the ledger either.
    served.stop();
    let dump = bulk.made.run(&["store", "dump"]);
    fs::remove_dir_all(bulk.made.data().join("state")).unwrap();
    assert_eq!(bulk.made.run(&["store", "dump"]), dump);
    assert!(!dump.contains("019900000002"));
}

#[test]
fn an_error_of_the_script_names_its_place_and_fails_that_row_only() {
    let bulk = Bulk::new("", 3);
    let _served = bulk.serve();
    bulk.pairs("cards.csv", 0, 3);
    let script = format!(
        "fn row(row, job) {{\n    if row.smartcard == \"{}\" {{\n        throw \"no, not \" + row.smartcard;\n    }}\n    pair(row.smartcard, row.stb);\n}}\n",
        card_serial(1)
    );
    bulk.write("odd.rhai", &script);
    let report = bulk.job("odd.rhai", "cards.csv", &["--wait"]);
    assert_eq!(ends(&report), [2, 0, 0, 1], "{report}");
    assert_eq!(
        report["reasons"],
        json!({"odd.rhai:3:9: in `row`: no, not {smartcard}": 1})
    );
    let failures = fs::read_to_string(bulk.made.path().join("cards.failures.csv")).unwrap();
    assert!(
        failures.contains(&format!("{},{},3,", card_serial(1), stb_serial(1))),
        "{failures}"
    );
}

#[test]
fn a_job_whose_files_were_changed_pauses_and_says_so() {
    let bulk = Bulk::new("", 20);
    let served = bulk.serve();
    bulk.pairs("cards.csv", 0, 20);
    bulk.made.run(&[
        "run",
        "pair_from_csv",
        "--input",
        "cards.csv",
        "--detach",
        "--rate",
        "1",
    ]);
    served.kill();
    let jobs = fs::read_dir(bulk.made.data().join("jobs")).unwrap();
    let folder = jobs.map(|entry| entry.unwrap().path()).next().unwrap();
    let input = folder.join("input.csv");
    let text = fs::read_to_string(&input).unwrap();
    fs::write(&input, text.replace(&stb_serial(19), &stb_serial(21))).unwrap();
    let _served = bulk.serve();
    wait_until(
        || bulk.report(1)["state"] == "paused",
        || bulk.report(1).to_string(),
    );
    let reason = bulk.report(1)["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.starts_with("the input.csv came with other bytes"),
        "{reason}"
    );
}

#[test]
fn two_jobs_run_side_by_side_and_each_keeps_its_rate() {
    let bulk = Bulk::new("", 60);
    let _served = bulk.serve();
    bulk.pairs("slow.csv", 0, 30);
    bulk.pairs("quick.csv", 30, 60);
    bulk.made.run(&[
        "run",
        "pair_from_csv",
        "--input",
        "slow.csv",
        "--detach",
        "--rate",
        "2",
    ]);
    let quick = bulk.job("pair_from_csv", "quick.csv", &["--wait"]);
    assert_eq!(ends(&quick), [30, 0, 0, 0]);
    let slow = bulk.report(1);
    assert_eq!(slow["state"], "running");
    assert!(slow["done"].as_u64().unwrap() < 30, "{slow}");
}

#[test]
fn mistakes_are_named_before_anything_is_handed_in() {
    let bulk = Bulk::new("", 2);
    bulk.pairs("cards.csv", 0, 2);
    bulk.write("other.csv", "card,stb\n1,2\n");
    bulk.write("broken.rhai", "fn row(row, job) {\n    pair(\n}\n");
    for (arguments, code, told) in [
        (
            &["run", "pair_from_csv"][..],
            2,
            "needs rows: expected `--input FILE`",
        ),
        (
            &["run", "pair_from_cvs", "--input", "cards.csv"],
            1,
            "did you mean `pair_from_csv`?",
        ),
        (
            &["run", "../pair", "--input", "cards.csv"],
            1,
            "nor a plain name",
        ),
        (
            &["run", "broken.rhai", "--input", "cards.csv"],
            1,
            "broken.rhai:3:1: does not compile",
        ),
        (
            &["run", "pair_from_csv", "--input", "other.csv"],
            1,
            "column `smartcard` is missing",
        ),
        (
            &[
                "run",
                "pair_from_csv",
                "--input",
                "cards.csv",
                "--arg",
                "bye=id",
            ],
            1,
            "no argument `bye`",
        ),
        (
            &[
                "run",
                "pair_from_csv",
                "--input",
                "cards.csv",
                "--arg",
                "resend=maybe",
            ],
            1,
            "must be true or false",
        ),
        (&["job", "show", "7"], 1, "no job 7"),
    ] {
        let said = bulk.run(arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}", said.err);
        assert!(said.err.contains(told), "{arguments:?}: {}", said.err);
    }
    assert_eq!(
        bulk.run(&["job", "list", "--output", "json"]).json(),
        json!([])
    );
}

/// The shipped jobs with the inputs that come with them.
#[test]
fn every_shipped_job_does_what_its_header_says() {
    let bulk = Bulk::new("", 1);
    let scripts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/jobs");
    let mut items = String::from("serial_number,alternative_code,product\n");
    for at in 1..6 {
        writeln!(items, "0190000000{at:02},A{at},SC-0").unwrap();
        writeln!(items, "10000{at:02},B{at},STB-1").unwrap();
    }
    bulk.write("items.csv", &items);
    bulk.made.run(&["item", "import", "items.csv"]);
    bulk.write(
        "subscriptions.csv",
        "number,life_cycle_state\nS-1001,EFFECTIVE\nS-1002,CANCELLED\n",
    );
    bulk.made
        .run(&["subscription", "import", "subscriptions.csv"]);
    let _served = bulk.serve();
    for name in fs::read_dir(scripts.join("samples")).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        let text = fs::read_to_string(scripts.join("samples").join(&name)).unwrap();
        // No provider takes the samples' product here; with that the reason says so.
        bulk.write(&name, &text.replace("SC-1", "SC-0"));
        bulk.write(&format!("other.{name}"), &text);
    }
    let other = bulk.job(
        "import_and_pair",
        "other.import_and_pair.csv",
        &["--dry-run"],
    );
    assert!(
        other["reasons"].to_string().contains("is no smartcard"),
        "{other}"
    );
    // Each in the state that the one before left: [created, unchanged, skipped, failed] and the pairings then.
    for (job, wanted, paired) in [
        ("pair_from_csv", [2, 1, 0, 0], 1),
        ("swap_stb", [1, 0, 0, 0], 1),
        ("pair_by_subscription", [1, 0, 1, 0], 1),
        ("import_and_pair", [3, 0, 0, 0], 3),
        ("unpair_from_csv", [1, 1, 0, 0], 2),
    ] {
        let sample = format!("{job}.csv");
        let before = bulk.jobs();
        let dry = bulk.job(job, &sample, &["--dry-run"]);
        assert_eq!(ends(&dry), wanted, "{job}: {dry}");
        assert_eq!(bulk.jobs(), before);
        let report = bulk.job(job, &sample, &[]);
        assert_eq!(ends(&report), wanted, "{job}: {report}");
        // What is scheduled for 2099 stays.
        let job_number = report["id"].as_u64().unwrap();
        let scheduled = u64::from(job == "pair_from_csv");
        wait_until(
            || bulk.report(job_number)["pending"].as_u64().unwrap() <= scheduled,
            || bulk.report(job_number).to_string(),
        );
        let list = bulk.run(&["pairing", "list", "--output", "json"]).json();
        assert_eq!(list.as_array().unwrap().len(), paired, "{job}: {list}");
    }
    let header = |name: &str| fs::read_to_string(scripts.join(name)).unwrap();
    for entry in fs::read_dir(&scripts).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = name.strip_suffix(".rhai") {
            let text = header(&format!("{name}.rhai"));
            for word in ["// Columns ", "// Arguments ", "// Undo "] {
                assert!(text.contains(word), "{name} says nothing of {word}");
            }
            let sample = scripts.join("samples").join(format!("{name}.csv"));
            assert!(sample.is_file(), "{name} has no sample");
        }
    }
}

#[test]
fn an_interrupt_lets_the_job_go_on_and_says_how_to_come_back() {
    let bulk = Bulk::new("", 40);
    let _served = bulk.serve();
    bulk.pairs("cards.csv", 0, 40);
    let out = bulk.made.path().join("out");
    let mut command = bulk.made.command(&[
        "run",
        "pair_from_csv",
        "--input",
        "cards.csv",
        "--rate",
        "4",
    ]);
    let mut child = command
        .stdout(fs::File::create(&out).unwrap())
        .spawn()
        .unwrap();
    wait_until(
        || bulk.jobs()[0]["done"].as_u64().is_some_and(|done| done > 0),
        || bulk.jobs().to_string(),
    );
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let told = fs::read_to_string(&out).unwrap();
    assert_eq!(
        told,
        "job 1 goes on in the server; `pairbox job watch 1` comes back to it\n"
    );
    let report = bulk.run(&["job", "watch", "1", "--output", "json"]).json();
    assert_eq!(
        (ends(&report), &report["state"]),
        ([40, 0, 0, 0], &json!("done"))
    );
}

#[test]
fn with_a_server_and_without_one_the_same_requests_come_out() {
    let endings = [true, false].map(|is_served| {
        let bulk = Bulk::new("", 6);
        bulk.write(
            "cards.csv",
            &format!(
                "smartcard,stb\n{},{}\n{},{}\n{},{}\n7,8\n",
                card_serial(0),
                stb_serial(0),
                card_serial(1),
                stb_serial(0),
                card_serial(0),
                stb_serial(0)
            ),
        );
        let served = is_served.then(|| bulk.serve());
        let mut report = bulk.job("pair_from_csv", "cards.csv", &["--wait"]);
        for changing in ["created_at", "ended_at"] {
            report.as_object_mut().unwrap().remove(changing);
        }
        let requests = bulk
            .run(&["request", "list", "--all", "--output", "json"])
            .json();
        let requests: Vec<_> = requests
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (
                    one["number"].clone(),
                    one["card"].clone(),
                    one["stb"].clone(),
                )
            })
            .collect();
        drop(served);
        (report, requests)
    });
    assert_eq!(endings[0], endings[1]);
    assert_eq!(endings[0].1.len(), 1);
}

#[test]
fn rows_may_come_by_standard_input() {
    let bulk = Bulk::new("", 3);
    let _served = bulk.serve();
    let path = bulk.pairs("cards.csv", 0, 3);
    let mut command =
        bulk.made
            .command(&["run", "pair_from_csv", "--input", "-", "--output", "json"]);
    let output = command
        .stdin(fs::File::open(path).unwrap())
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (ends(&report), &report["input"]),
        ([3, 0, 0, 0], &json!("-"))
    );
}

#[test]
fn what_a_spreadsheet_damaged_is_named_and_fails_that_row_only() {
    let bulk = Bulk::new("", 6);
    let _served = bulk.serve();
    let zeros = card_serial(2).trim_start_matches('0').to_owned();
    bulk.write(
        "cards.csv",
        &format!(
            "SmartCard;STB\r\n{};{}\r\n1.9E+10;{}\r\n\r\n{zeros};{}\r\n'{};{}\r\n\"=\"\"{}\"\"\";{}\r\n{}\r\n",
            card_serial(0), stb_serial(0), stb_serial(1), stb_serial(2), card_serial(3), stb_serial(3),
            card_serial(4), stb_serial(4), card_serial(5)
        ),
    );
    let report = bulk.job("pair_from_csv", "cards.csv", &["--wait"]);
    assert_eq!(report["rows"], 6, "{report}");
    let failures = fs::read_to_string(bulk.made.path().join("cards.failures.csv")).unwrap();
    for told in [
        ",3,looks like a spreadsheet damaged it: 1.9E+10",
        ",5,looks like a spreadsheet took its leading zeros",
        ",8,\"expected 2 columns, found 1\"",
    ] {
        assert!(failures.contains(told), "{told}: {failures}");
    }
    assert!(report["created"].as_u64().unwrap() >= 1, "{report}");
}
