//! Bulk jobs where pairings make room for each other, and where a card has several STBs.

use pairbox::simulate::SimulateOptions;
use serde_json::{Value, json};

use super::headend::{Headend, Layout};
use super::job_scene::{Bulk, ends};
use super::scene::{Cas, card_serial, persona, stb_serial};

/// Card and STB of every pairing.
fn paired(bulk: &Bulk) -> Vec<(String, String)> {
    let list = bulk.run(&["pairing", "list", "--output", "json"]).json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = list.as_array().unwrap().iter();
    rows.map(|row| (text(&row["card"]), text(&row["stb"])))
        .collect()
}

fn pairing(card: u32, stb: u32) -> (String, String) {
    (card_serial(card), stb_serial(stb))
}

#[test]
fn two_cards_exchange_their_stbs_in_one_row_also_where_holders_give_way() {
    let bulk = Bulk::with("", 2, "[pairing]\nstb_taken = \"replace\"");
    let _served = bulk.serve();
    let input = bulk.pairs("pairs.csv", 0, 2);
    bulk.job("pair_from_csv", input.to_str().unwrap(), &["--wait"]);
    bulk.write(
        "exchange.rhai",
        r#"
        fn options() { #{ columns: ["a", "stb_of_a", "b", "stb_of_b"] } }
        fn row(row, job) {
            unpair(row.a);
            unpair(row.b);
            pair(row.a, row.stb_of_b);
            pair(row.b, row.stb_of_a);
        }
        "#,
    );
    let (a, b) = (pairing(0, 0), pairing(1, 1));
    let row = format!("a,stb_of_a,b,stb_of_b\n{},{},{},{}\n", a.0, a.1, b.0, b.1);
    bulk.write("exchange.csv", &row);
    let report = bulk.job("exchange.rhai", "exchange.csv", &["--wait"]);
    assert_eq!(ends(&report), [1, 0, 0, 0], "{report}");
    assert_eq!(paired(&bulk), [pairing(0, 1), pairing(1, 0)]);
}

const CARD: &str = "001000000000";
const FIRST: &str = "00001000";
const SECOND: &str = "00001001";

fn one(card: &str, stb: &str) -> (String, String) {
    (card.to_owned(), stb.to_owned())
}

/// A box whose CAS keeps sets, and whose one card has two STBs.
fn with_two_stbs() -> Bulk {
    let cas = Cas::run(SimulateOptions::new(
        persona("bin6", json!({})),
        "127.0.0.1:0",
    ));
    let made = Headend::lay_out(&Layout::new(cas.address, 0), |_| {});
    let text = std::fs::read_to_string(made.path().join("pairbox.toml")).unwrap();
    let (before, _) = text.split_once("[provider.settings]").unwrap();
    let config = before.replace("\"smsgw\"", "\"bin6\"");
    made.write("pairbox.toml", &format!("{config}stbs_per_card = 2\n"));
    made.write(
        "all.csv",
        &format!(
            "serial_number,alternative_code,product,ca_id,state\n{CARD},A1,SC-0,,EFFECTIVE\n\
             {FIRST},A2,STB-1,,EFFECTIVE\n{SECOND},A3,STB-1,,EFFECTIVE\n"
        ),
    );
    made.run(&["item", "import", "all.csv"]);
    let bulk = Bulk { made, cas };
    let served = bulk.serve();
    bulk.write(
        "both.csv",
        &format!("smartcard,stb\n{CARD},{FIRST}\n{CARD},{SECOND}\n"),
    );
    let report = bulk.job("pair_from_csv", "both.csv", &["--wait"]);
    assert_eq!(ends(&report), [2, 0, 0, 0], "{report}");
    assert_eq!(paired(&bulk), [one(CARD, FIRST), one(CARD, SECOND)]);
    served.stop();
    bulk
}

#[test]
fn a_row_that_names_one_of_several_stbs_unpairs_from_that_one_only() {
    let bulk = with_two_stbs();
    let _served = bulk.serve();
    bulk.write("one.csv", &format!("smartcard,stb\n{CARD},{SECOND}\n"));
    let report = bulk.job("unpair_from_csv", "one.csv", &["--wait"]);
    assert_eq!(ends(&report), [1, 0, 0, 0], "{report}");
    assert_eq!(paired(&bulk), [one(CARD, FIRST)]);
    let history = bulk
        .run(&["pairing", "history", CARD, "--output", "json"])
        .json();
    let then: Vec<usize> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["stbs"].as_array().unwrap().len())
        .collect();
    assert_eq!(then, [1, 2, 1], "{history}");
}

#[test]
fn the_pairings_of_before_are_an_input_that_brings_several_stbs_back() {
    let bulk = with_two_stbs();
    let _served = bulk.serve();
    let kept = bulk.run(&["pairing", "list", "--output", "csv"]).out;
    bulk.write("before.csv", &kept.replacen("card,", "smartcard,", 1));
    assert_eq!(bulk.run(&["unpair", CARD, "--wait"]).code, 0);
    assert!(paired(&bulk).is_empty());
    let report = bulk.job("pair_from_csv", "before.csv", &["--wait"]);
    assert_eq!(ends(&report), [2, 0, 0, 0], "{report}");
    assert_eq!(paired(&bulk), [one(CARD, FIRST), one(CARD, SECOND)]);
}

#[test]
fn a_swap_of_a_card_with_several_stbs_says_which_one_it_means_or_fails() {
    let bulk = with_two_stbs();
    let _served = bulk.serve();
    bulk.write(
        "swap.csv",
        &format!("smartcard,new_stb,old_stb\n{CARD},{FIRST},{FIRST}\n"),
    );
    let report = bulk.job("swap_stb", "swap.csv", &[]);
    assert_eq!(ends(&report), [0, 0, 0, 1], "{report}");
    assert_eq!(paired(&bulk), [one(CARD, FIRST), one(CARD, SECOND)]);
}
