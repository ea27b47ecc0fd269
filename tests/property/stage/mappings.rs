//! Variants of the shipped mapping for what it does not do: queries, plans of two steps, scripts that fail.

use super::SMSGW;

/// Knows a query: a frame of type 07 with the columns of a command.
pub fn with_query() -> String {
    let text = SMSGW.replace(
        "pair: true, unpair: true,",
        "pair: true, unpair: true, query: true,",
    );
    assert_ne!(text, SMSGW);
    text + r#"
fn query(request, ctx) {
    let body = ctx.header("07");
    body.put_ascii("N");
    body.put_date(ctx.now, -1);
    body.put_date(ctx.now, ctx.cfg.expiry_days);
    body.put_ascii("U");
    body.put_ascii(if request.card.len == 12 { strip_right(request.card, 2) } else { request.card });
    body.put_ascii("0052");
    body.put_digits(if request.stb == () { 0 } else { request.stb }, 10);
    body.put_repeat(0x20, 4);
    #{ body: body, key: digits(ctx.transaction, 9) }
}
"#
}

/// For a CAS where a card may have several STBs: command 0053 takes it from one of them.
pub fn of_sets(text: &str) -> String {
    let replaced = text
        .replace("card_to_stb: 1, stb_to_card: 0", "card_to_stb: 0, stb_to_card: 0")
        .replace("fn plan(", "fn plan_of_one(")
        .replace(
            "body.put_ascii(\"0052\");\n        body.put_digits(if step.confirms == \"pair\" { step.stb } else { 0 }, 10);",
            "body.put_ascii(if step.confirms == \"unpair\" && step.stb != () { \"0053\" } else { \"0052\" });\n        \
             body.put_digits(if step.stb == () { 0 } else { step.stb }, 10);",
        )
        .replace(
            "body.put_ascii(\"0052\");\n    body.put_digits(if request.stb == () { 0 } else { request.stb }, 10);",
            "let left = if request.leaves.is_empty() { () } else { request.leaves[request.leaves.len - 1].stb };\n    \
             let stb = if request.stb == () { left } else { request.stb };\n    \
             body.put_ascii(if request.stb == () && left != () { \"0053\" } else { \"0052\" });\n    \
             body.put_digits(if stb == () { 0 } else { stb }, 10);",
        );
    assert_eq!(
        replaced.matches("0053").count(),
        1 + text.matches("fn query(").count()
    );
    replaced
        + r#"
fn plan(request, cfg) {
    if request.action != "pair" && request.action != "unpair" { return plan_of_one(request, cfg); }
    let steps = [];
    for left in request.leaves { steps.push(#{ confirms: "unpair", card: request.card, stb: left.stb }); }
    if request.action == "pair" { steps.push(#{ confirms: "pair", card: request.card, stb: request.stb }); }
    if steps.is_empty() { steps.push(#{ confirms: "unpair", card: request.card }); }
    steps
}
"#
}

/// Leaves the old STB before it takes the new one.
pub fn two_steps(text: &str) -> String {
    let one_step = text.replace("fn plan(", "fn plan_of_one(");
    assert_ne!(one_step, text);
    one_step
        + r#"
fn plan(request, cfg) {
    if request.action != "pair" && request.action != "unpair" { return plan_of_one(request, cfg); }
    if request.action == "unpair" {
        return [#{ confirms: "unpair", card: request.card }];
    }
    let pair = #{ confirms: "pair", card: request.card, stb: request.stb };
    if request.previous_stb == () || request.previous_stb == request.stb { return [pair]; }
    [#{ confirms: "unpair", card: request.card }, pair]
}
"#
}

/// Refuses an unpair that does not say which STB the card leaves.
pub fn needing_the_previous_stb(text: &str) -> String {
    let first = "fn validate(request, cfg) {";
    let check =
        "if request.action == \"unpair\" && request.previous_stb == () { return \"which STB?\"; }";
    let text = text.replace(first, &format!("{first}\n    {check}"));
    assert!(text.contains(check));
    text
}

/// Fails to encode for cards from 20 to 29.
pub fn failing() -> String {
    encode_that_throws_if("step.card.starts_with(\"019000002\")")
}

/// Fails to encode the attempt with this transaction number.
pub fn failing_on_transaction(transaction: u64) -> String {
    encode_that_throws_if(&format!("ctx.transaction == {transaction}"))
}

fn encode_that_throws_if(condition: &str) -> String {
    let first = "fn encode(step, ctx) {";
    let text = SMSGW.replace(
        first,
        &format!("{first}\n    if {condition} {{ throw \"no\"; }}"),
    );
    assert_ne!(text, SMSGW);
    text
}
