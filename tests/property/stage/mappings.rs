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
