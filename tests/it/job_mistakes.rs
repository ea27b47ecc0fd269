//! Mistakes in a job's columns, plan and script are told in the words of who made them, before they cost a row.

use super::job_scene::Bulk;
use super::scene::{card_serial, stb_serial};

#[test]
fn a_column_that_nobody_reads_is_named_and_a_slip_is_refused() {
    let bulk = Bulk::new("", 4);
    let _served = bulk.serve();
    let row = format!("{};{};x", card_serial(0), stb_serial(0));
    bulk.write("slip.csv", &format!("smartcard;stb;schedule_date\n{row}\n"));
    let said = bulk.run(&["run", "pair_from_csv", "--input", "slip.csv"]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(
        said.err.contains("did you mean `scheduled_date`?"),
        "{}",
        said.err
    );
    bulk.write("remark.csv", &format!("smartcard;stb;Remark\n{row}\n"));
    let said = bulk.run(&["run", "pair_from_csv", "--input", "remark.csv"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("not read: `remark`"), "{}", said.err);
    assert_eq!(bulk.requests(), 1);
}

#[test]
fn a_plan_is_carried_out_by_its_own_script_only_and_no_file_is_lost() {
    let bulk = Bulk::new("", 6);
    let _served = bulk.serve();
    bulk.write(
        "plan.rhai",
        "fn options() { #{ args: #{ way: \"here\" } } }\nfn main(args) { input_by(\"smartcard\"); plan(#{ smartcard: \"1\" }); }\nfn row(row, job) { skip(\"x\"); }\n",
    );
    bulk.pairs("cards.csv", 0, 2);
    let plan = ["run", "plan.rhai", "--input", "cards.csv"];
    let said = bulk.run(&[&plan[..], &["--arg", "wayy=cas"]].concat());
    assert!(said.err.contains("did you mean `way`?"), "{}", said.err);
    assert_eq!(bulk.run(&plan).code, 3);
    let again = bulk.run(&plan);
    assert!(
        again.err.contains("cards.plan.old.csv now"),
        "{}",
        again.err
    );
    let foreign = bulk.run(&["run", "pair_from_csv", "--apply", "cards.plan.csv"]);
    assert_eq!(foreign.code, 2, "{}", foreign.err);
    assert!(foreign.err.contains("made the plan"), "{}", foreign.err);

    bulk.write("bad.csv", "smartcard,stb\n7,8\n");
    assert_eq!(
        bulk.run(&["run", "pair_from_csv", "--input", "bad.csv"])
            .code,
        3
    );
    let report = ["job", "report", "1", "--failures", "cards.csv"];
    assert_eq!(bulk.run(&report).code, 6);
    // The failures of a job before may be at somebody's work.
    bulk.write("bad.failures.csv", "mine\n");
    let said = bulk.run(&["run", "pair_from_csv", "--input", "bad.csv"]);
    assert!(said.err.contains("bad.failures.2.csv"), "{}", said.err);
}

#[test]
fn mistakes_of_a_script_are_told_so_that_they_can_be_mended() {
    let bulk = Bulk::new("", 4);
    let _served = bulk.serve();
    bulk.pairs("cards.csv", 0, 2);
    let err = |script: &str| {
        bulk.write("mine.rhai", script);
        let said = bulk.run(&["run", "mine.rhai", "--input", "cards.csv"]);
        format!("{}{}", said.out, said.err)
    };
    let told = err("fn row(row, job) { paer(row.smartcard, row.stb); }\n");
    assert!(
        told.contains("mine.rhai:1:20: no function `paer` is known; did you mean `pair`?"),
        "{told}"
    );
    let told = err("fn row(row, job) { pair(row.card, row.stb); }\n");
    assert!(told.contains("Property not found: card"), "{told}");
    assert!(told.contains("the row has smartcard, stb"), "{told}");
    let told = err("const LIMIT = 1;\nfn row(row, job) { if LIMIT > 0 { skip(\"x\"); } }\n");
    assert!(told.contains("nothing that stands outside"), "{told}");
    let told = err(
        "fn row(row, job) { pair(row.smartcard, row.stb); }\nfn summary(job) { job.craeted }\n",
    );
    assert!(told.contains("the script's summary failed"), "{told}");
    assert!(told.contains("created    2"), "{told}");
    let lists = bulk.run(&["request", "list", "--job", "3", "--output", "csv"]);
    let all = bulk.run(&["request", "list", "--output", "csv"]);
    assert_eq!(all.out.lines().count(), 3, "{}", all.out);
    assert_eq!(lists.out.lines().count(), 3, "{}", lists.out);
    let none = bulk.run(&["request", "list", "--job", "1", "--output", "csv"]);
    assert_eq!(none.out.lines().count(), 1, "{}", none.out);
}
