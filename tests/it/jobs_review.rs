//! What a review of bulk jobs found, each with the test that showed it.

use super::job_scene::{Bulk, ends};

#[test]
fn a_script_that_hides_data_in_functions_fails_its_rows_and_ends_nobody() {
    let bulk = Bulk::new("", 4);
    let _served = bulk.serve();
    bulk.pairs("cards.csv", 0, 2);
    // Each was the end of the process: a stack too small for the fall of a chain, memory that doubles with each step.
    bulk.write(
        "chain.rhai",
        "fn row(row, job) {\n    let f = ();\n    loop { let g = f; f = [[#{ a: [|| g] }]]; }\n}\n",
    );
    bulk.write(
        "deep.rhai",
        "fn row(row, job) {\n    let f = ();\n    loop { let g = f; f = || g; }\n}\n",
    );
    for script in ["chain.rhai", "deep.rhai"] {
        let report = bulk.job(script, "cards.csv", &[]);
        assert_eq!(ends(&report), [0, 0, 0, 2], "{report}");
    }
    bulk.write(
        "doubling.rhai",
        "fn row(row, job) {\n    let f = Fn(\"row\");\n    loop { f = f.curry(f); }\n}\n",
    );
    let said = bulk.run(&["run", "doubling.rhai", "--input", "cards.csv"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("does not compile"), "{}", said.err);
    // What is asked of a script beside its rows runs where the stack is small.
    bulk.write(
        "options.rhai",
        "fn options() {\n    let f = ();\n    loop { let g = f; f = || g; }\n}\nfn row(row, job) { skip(\"no\"); }\n",
    );
    let said = bulk.run(&["run", "options.rhai", "--input", "cards.csv"]);
    assert!(
        said.err.contains("more than 20000 operations"),
        "{}",
        said.err
    );
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
