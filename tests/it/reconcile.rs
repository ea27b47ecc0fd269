//! `reconcile_with_cas_export` with an export that has the CAS's own numbers.

use super::job_scene::Bulk;

#[test]
fn an_export_with_ca_ids_is_compared_by_them_and_unknown_ones_are_counted_as_unknown() {
    let bulk = Bulk::new("", 2);
    let _served = bulk.serve();
    bulk.write(
        "more.csv",
        "serial_number,alternative_code,product,ca_id,state\nC7,AC7,SC-0,019000777777,EFFECTIVE\nC8,AC8,SC-0,019000888888,EFFECTIVE\n\
         B7,AB7,STB-0,87654321,EFFECTIVE\nB8,AB8,STB-0,87654322,EFFECTIVE\n",
    );
    bulk.made.run(&["item", "import", "more.csv"]);
    bulk.made.run(&["pair", "C7", "B7", "--wait"]);
    // The first is as here; of the others the STB, or the card, is unknown.
    bulk.write(
        "export.csv",
        "smartcard,stb\n019000777777,87654321\n019000888888,99999999\n019000999999,87654322\n",
    );
    let compare = |truth: &str| {
        let truth = format!("truth={truth}");
        bulk.run(&[
            "run",
            "reconcile_with_cas_export",
            "--input",
            "export.csv",
            "--arg",
            "by=ca_id",
            "--arg",
            &truth,
        ])
    };
    let said = compare("cas");
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    for words in [
        "unknown here: ca_id `99999999`",
        "unknown here: ca_id `019000999999`",
    ] {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
    let count = |out: &str, row: &str| {
        let line = out.lines().find(|line| line.starts_with(row)).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    assert_eq!(count(&said.out, "the same"), "1");
    assert_eq!(count(&said.out, "left out: card or STB unknown"), "2");
    let said = compare("here");
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert_eq!(
        count(&said.out, "with an STB in the CAS that is unknown"),
        "1"
    );
    assert_eq!(count(&said.out, "left out: card or STB unknown"), "1");
    let plan = std::fs::read_to_string(bulk.made.path().join("export.plan.csv")).unwrap();
    assert!(plan.contains("C8") && plan.lines().count() == 2, "{plan}");
}
