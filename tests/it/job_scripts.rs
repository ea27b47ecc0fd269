//! What a job's or a free script may do, and what becomes of one that wants more: each a clean error within the limits.

use std::path::Path;
use std::sync::Arc;

use pairbox::control::verb_names;
use pairbox::script::{
    Finder, JobFacts, JobScript, Lookup, Named, RowAct, RowActs, ScriptError, definitions,
    free_verbs,
};
use serde_json::{Value, json};

use super::job_scene::Bulk;

/// Knows one card.
struct OneCard;

impl Finder for OneCard {
    fn find(&self, what: Lookup, named: &Named) -> Result<Option<Value>, String> {
        match (what, named.value.as_str()) {
            (Lookup::Pairing, "1") => Ok(Some(json!({"card": "1", "stb": null}))),
            (_, "two of them") => Err("2 items have serial_number `two of them`".into()),
            _ => Ok(None),
        }
    }
}

fn run(body: &str) -> Result<RowActs, ScriptError> {
    let script = JobScript::compile("test.rhai", format!("fn row(row, job) {{\n{body}\n}}\n"))?;
    call(&script, &[("smartcard", "1"), ("stb", "2")])
}

fn call(script: &JobScript, cells: &[(&str, &str)]) -> Result<RowActs, ScriptError> {
    let finder: Arc<dyn Finder> = Arc::new(OneCard);
    let facts = JobFacts {
        number: 7,
        args: &json!({"by": "id"}),
        line: 2,
        is_dry_run: false,
    };
    script.row(cells, &facts, &finder)
}

#[test]
fn a_hostile_script_ends_as_a_clean_error_within_the_limits() {
    for (body, told) in [
        ("loop { }", "stopped: more than 500000 operations"),
        (
            "let a = []; a.pad(4000, 1); a.map(|x| { let b = []; b.pad(4000, 1); b.map(|y| y + 1) });",
            "stopped:",
        ),
        (
            "let f = |x| { let n = 0; while n < 1000000 { n += 1; } n }; [1, 2, 3].map(f);",
            "stopped:",
        ),
        (
            "let s = \"x\"; loop { s += s; }",
            "stopped: a value grew too large",
        ),
        ("let a = []; loop { a.push([0, 0, 0, 0]); }", "stopped:"),
        (
            "let a = [0]; loop { a += a; }",
            "stopped: a value grew too large",
        ),
        (
            "let m = #{}; let n = 0; loop { m[`k${n}`] = n; n += 1; }",
            "stopped:",
        ),
        ("let a = [1]; loop { a = [a, a]; }", "stopped:"),
        ("let b = blob(10000000);", "stopped: a value grew too large"),
        ("fn_of(1);", "fn_of"),
        ("sleep(10);", "`sleep` is not for scripts"),
        ("timestamp();", "`timestamp` is not for scripts"),
        ("Fn(\"sleep\").call(10);", "`sleep` is not for scripts"),
        (
            "for at in 0..17 { unpair(\"1\"); }",
            "a row asks for at most 16 things",
        ),
        ("unpair(\"\");", "the card is empty: expected a value"),
        (
            "let s = \"\"; s.pad(300, 'x'); unpair(s);",
            "expected at most 256",
        ),
        (
            "unpair(\"1\", #{ prioritaet: \"EXPRESS\" });",
            "did you mean `priority`?",
        ),
        (
            "unpair(\"1\", #{ priority: \"SOON\" });",
            "REGULAR or EXPRESS",
        ),
        (
            "unpair(named(\"name\", \"1\"));",
            "expected serial_number, alternative_code or id",
        ),
        (
            "register_item(#{ product: \"SC\" });",
            "register_item() has no `serial_number`",
        ),
        ("find_item(\"two of them\");", "2 items have serial_number"),
        ("row.smartcart", "smartcart"),
        ("pair(row.smartcard)", "pair"),
        ("item_list()", "item_list"),
    ] {
        match run(body) {
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(told), "{body}: {text}");
                assert!(text.starts_with("test.rhai:"), "{body}: {text}");
            }
            Ok(acts) => panic!("{body}: {acts:?}"),
        }
    }
    let deep = "fn dig(n) { dig(n + 1) }\nfn row(row, job) { dig(0) }";
    let script = JobScript::compile("test.rhai", deep.into()).unwrap();
    let error = call(&script, &[]).unwrap_err().to_string();
    assert!(error.contains("calls nested too deeply"), "{error}");
    for text in [
        "fn row(row, job) { eval(\"1\") }",
        "import \"x\" as x; fn row(row, job) { x::y() }",
        "fn row(row, job) { import \"/etc/passwd\" as x; }",
        "fn row(row) { }",
        "fn rows(row, job) { }",
    ] {
        let error = JobScript::compile("test.rhai", text.into()).err();
        assert!(error.is_some(), "{text}");
    }
}

#[test]
fn what_is_printed_without_end_costs_nothing() {
    assert_eq!(
        run("for at in 0..10000 { print(\"flood\"); }").unwrap(),
        RowActs::Acts(Vec::new())
    );
}

#[test]
fn skip_and_fail_end_the_row_whatever_the_script_catches() {
    for body in [
        "unpair(\"1\"); skip(\"not today\"); unpair(\"2\");",
        "try { skip(\"not today\"); } catch { unpair(\"2\"); } unpair(\"3\");",
        "[1, 2].map(|x| { skip(\"not today\"); });",
    ] {
        let acts = run(body).unwrap();
        assert_eq!(acts, RowActs::Skipped("not today".into()), "{body}");
    }
    assert_eq!(run("fail(\"no\")").unwrap(), RowActs::Failed("no".into()));
}

#[test]
fn acts_and_look_ups_are_what_the_script_says() {
    let RowActs::Acts(acts) = run(
        "pair(row.smartcard, named(job.args.by, row.stb), #{ priority: \"express\", resend: true, scheduled_date: \"2099-01-01\" });
         if find_pairing(\"1\").stb == () && find_item(\"3\") == () { swap(\"1\", \"2\"); }
         unpair(3);",
    )
    .unwrap() else {
        panic!("acts");
    };
    let texts: Vec<String> = acts.iter().map(|act| format!("{act:?}")).collect();
    assert_eq!(acts.len(), 3, "{texts:?}");
    let RowAct::Pair(first) = &acts[0] else {
        panic!("{texts:?}");
    };
    assert_eq!(first.card.value, "1");
    assert_eq!(first.stb.as_ref().unwrap().value, "2");
    assert!(first.options.resend && !first.swaps);
    let RowAct::Pair(second) = &acts[1] else {
        panic!("{texts:?}");
    };
    assert!(second.swaps);
}

#[test]
fn rows_on_two_threads_do_not_see_each_other() {
    let text = "fn row(row, job) { for at in 0..50 { find_item(\"x\"); } unpair(row.smartcard); }";
    let script = Arc::new(JobScript::compile("test.rhai", text.into()).unwrap());
    let threads: Vec<_> = ["a", "b"]
        .map(|name| {
            let script = script.clone();
            std::thread::spawn(move || {
                for _ in 0..200 {
                    let RowActs::Acts(acts) = call(&script, &[("smartcard", name)]).unwrap() else {
                        panic!("acts");
                    };
                    let [RowAct::Pair(act)] = acts.as_slice() else {
                        panic!("{acts:?}");
                    };
                    assert_eq!(act.card.value, name);
                }
            })
        })
        .into();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn every_verb_is_a_function_of_free_scripts() {
    // A job is handed in by `pairbox run`, and its failed rows are a file of the command line; the workbench is there too.
    let left_out = [
        "job.upload",
        "job.part",
        "job.create",
        "job.rehearse",
        "job.rehearsal",
        "job.failed",
        "mapping.sent",
        "mapping.tried",
    ];
    let functions = free_verbs();
    for verb in verb_names().filter(|verb| !left_out.contains(verb)) {
        assert!(functions.contains(&verb), "{verb} is no function");
    }
}

#[test]
fn the_editors_file_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/pairbox.d.rhai");
    if std::env::var_os("PAIRBOX_BLESS").is_some() {
        std::fs::write(&path, definitions()).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == definitions(),
        "refresh it: PAIRBOX_BLESS=1 cargo test --test it -- the_editors_file"
    );
}

#[test]
fn a_free_script_finds_pages_changes_and_prints() {
    let bulk = Bulk::new("", 700);
    let _served = bulk.serve();
    bulk.write(
        "admin.rhai",
        r#"
fn main(args) {
    let cards = 0;
    for item in items(#{ product: "SC-0" }) { cards += 1; }
    let all = 0;
    for item in items() { all += 1; if all == 600 { break; } }
    print(`${cards} ${all}`);
    try {
        for item in items(#{ colour: "red" }) { }
    } catch (error) {
        print(error);
    }
    let made = pair(item_list(#{ product: "SC-0", limit: 1 }).rows[0].serial_number, "1000", #{ priority: "EXPRESS" });
    print(request_show(made.number).request.priority);
    provider_pause("north", args.why);
    print(provider_list()[0].name);
    provider_resume("north");
    try {
        pair("none such", "1000");
    } catch (error) {
        print("caught " + error);
    }
    table(["card", "stb"], [["1", 2]]);
    csv(["text"], [["=1+1"]]);
    pair("none such", "1000");
}
"#,
    );
    let said = bulk.run(&["run", "admin.rhai", "--arg", "why=a try"]);
    let told = "700 600\nno option `colour`: known are after, is_blacklisted, limit, product, with_normalized\nEXPRESS\nnorth\n\
                caught no smartcard with serial_number `none such`\n\
                CARD  STB\n1     2\ntext\n'=1+1\n";
    assert_eq!((&*said.out, said.code), (told, 1), "{}", said.err);
    assert!(
        said.err
            .contains("admin.rhai:25:5: in `main`: no smartcard with serial_number"),
        "{}",
        said.err
    );
}

#[test]
fn a_free_script_without_end_is_ended_by_an_interrupt() {
    let bulk = Bulk::new("", 1);
    bulk.write(
        "endless.rhai",
        "fn main(args) { print(\"begun\"); loop { } }\n",
    );
    let mut command = bulk.made.command(&["run", "endless.rhai"]);
    let out = bulk.made.path().join("out");
    let mut child = command
        .stdout(std::fs::File::create(&out).unwrap())
        .spawn()
        .unwrap();
    super::scene::wait_until(
        || std::fs::read_to_string(&out).unwrap() == "begun\n",
        || "it begins".to_owned(),
    );
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn a_plan_is_carried_out_whole_or_refused_when_the_world_has_changed() {
    let bulk = Bulk::new("", 6);
    let _served = bulk.serve();
    bulk.pairs("cards.csv", 0, 4);
    bulk.job("pair_from_csv", "cards.csv", &["--wait"]);
    // The CAS says: card 0 as here, card 1 with another box, card 2 with none, nothing of card 3, and card 4 with one.
    let serial = super::scene::card_serial;
    let stb = super::scene::stb_serial;
    bulk.write(
        "export.csv",
        &format!(
            "smartcard,stb\n{},{}\n{},{}\n{},\n{},{}\n",
            serial(0),
            stb(0),
            serial(1),
            stb(7),
            serial(2),
            serial(4),
            stb(8)
        ),
    );
    let said = bulk.run(&[
        "run",
        "reconcile_with_cas_export",
        "--input",
        "export.csv",
        "--arg",
        "truth=cas",
    ]);
    assert_eq!(said.code, 3, "{}", said.err);
    let plan = std::fs::read_to_string(bulk.made.path().join("export.plan.csv")).unwrap();
    assert_eq!(plan.lines().count(), 5, "{plan}");
    let before = bulk.requests();
    // Somebody pairs one of them in between.
    bulk.made.run(&["pair", &serial(4), &stb(9), "--wait"]);
    let apply = [
        "run",
        "reconcile_with_cas_export",
        "--apply",
        "export.plan.csv",
        "--wait",
    ];
    let refused = bulk.run(&apply);
    assert_eq!(refused.code, 6, "{}", refused.err);
    assert!(
        refused
            .err
            .contains("will be with STB `1009` then: expected"),
        "{}",
        refused.err
    );
    assert_eq!(bulk.requests(), before + 1);
    bulk.made.run(&["unpair", &serial(4), "--wait"]);
    let done = bulk.run(&apply);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let again = bulk.run(&[
        "run",
        "reconcile_with_cas_export",
        "--input",
        "export.csv",
        "--arg",
        "truth=cas",
    ]);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
}

#[test]
fn cards_that_exchanged_their_boxes_in_the_cas_are_taken_over_by_one_plan() {
    let bulk = Bulk::new("", 8);
    let _served = bulk.serve();
    bulk.pairs("cards.csv", 0, 5);
    bulk.job("pair_from_csv", "cards.csv", &["--wait"]);
    let serial = super::scene::card_serial;
    let stb = super::scene::stb_serial;
    // The CAS says: 0 and 1 exchanged theirs, 2 has the one of 3, 3 has none, 4 gave its own to 5, which never had one.
    let holds = [
        (0, Some(1)),
        (1, Some(0)),
        (2, Some(3)),
        (3, None),
        (4, Some(2)),
        (5, Some(4)),
    ];
    let rows = holds.map(|(card, held)| {
        let held = held.map_or_else(String::new, stb);
        format!("{},{held}", serial(card))
    });
    let rows = rows.join("\n");
    bulk.write("export.csv", &format!("smartcard,stb\n{rows}\n"));
    let compare = [
        "run",
        "reconcile_with_cas_export",
        "--input",
        "export.csv",
        "--arg",
        "truth=cas",
    ];
    let said = bulk.run(&compare);
    assert_eq!(said.code, 3, "{}", said.err);
    let done = bulk.run(&[
        "run",
        "reconcile_with_cas_export",
        "--apply",
        "export.plan.csv",
        "--wait",
    ]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let again = bulk.run(&compare);
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    assert!(
        again.out.contains("the same here and in the CAS"),
        "{}",
        again.out
    );
    assert!(again.err.contains("is of an earlier run"), "{}", again.err);
}
