//! `pairbox mapping rehearse` finds what a changed script would send or understand otherwise, and changes nothing.

use crate::job_scene::Bulk;

const SHIPPED: &str = include_str!("../../scripts/mappings/smsgw/mapping.rhai");

/// A box that sent three pairs, and its mapping as it lies now.
fn sent(change: impl Fn(&str) -> String) -> Bulk {
    let bulk = Bulk::new("", 3);
    let served = bulk.serve();
    let input = bulk.pairs("pairs.csv", 0, 3);
    let input = input.to_str().unwrap();
    bulk.job("pair_from_csv", input, &["--wait"]);
    served.stop();
    let text = change(SHIPPED);
    let folder = bulk.made.path().join("scripts/mappings/smsgw");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("mapping.rhai"), text).unwrap();
    bulk
}

#[test]
fn a_change_of_neither_is_seen_not_to_be_one() {
    let bulk = sent(|text| format!("{text}\n// a remark\n"));
    let said = bulk.run(&["mapping", "rehearse", "smsgw"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(
        said.out,
        "3 commands of north: 3 the same, 0 differ\n3 answers of north: 3 the same, 0 differ\n"
    );
}

#[test]
fn an_answer_that_would_mean_something_else_is_shown_with_both_meanings() {
    let bulk = sent(|text| {
        let changed = text.replace("outcome: \"ok\"", "outcome: \"refused\", code: \"7\"");
        assert_ne!(changed, text);
        changed
    });
    let said = bulk.run(&["mapping", "rehearse", "smsgw"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    for part in [
        "attempt 1, 019000000200 1002",
        ": its answer means something else\n",
        "it was:    ok, key `",
        "it is now: refused, key `",
        "3 commands of north: 3 the same, 0 differ\n3 answers of north: 0 the same, 3 differ\n",
    ] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
}

#[test]
fn a_frame_that_would_go_out_otherwise_is_shown_from_its_first_byte_on() {
    let bulk = sent(|text| text.replace("\"0052\"", "\"0053\""));
    let said = bulk.run(&["mapping", "rehearse", "smsgw"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    for part in [
        ": differs from byte 63 on\nwent out:\n",
        "3 commands of north: 0 the same, 3 differ\n",
    ] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
}
