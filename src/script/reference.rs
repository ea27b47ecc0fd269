//! The reference of the mapping contract, `packaging/docs/mapping-reference.md`, made from the tables that the code works by.

use std::fmt::Write as _;

use super::codec::reference::{BUILD, DOCUMENTS, Helper, READ, TEXTS};
use crate::domain::placeholder::FILTERS;

/// A function of the contract as an author needs it.
pub(crate) struct HookDoc {
    call: &'static str,
    doc: &'static str,
}

const fn hook(call: &'static str, doc: &'static str) -> HookDoc {
    HookDoc { call, doc }
}

/// Functions of `mapping.rhai`; a test holds them against the engine's list.
pub(crate) const MAPPING: &[HookDoc] = &[
    hook(
        "describe()",
        "Needed. `#{ framing, session, transaction, caps }`, below.",
    ),
    hook(
        "settings()",
        "Every setting of `[provider.settings]` with its default; `()`: must be given. Without it any setting is taken.",
    ),
    hook(
        "normalize(kind, ca_id, cfg)",
        "The CA ID that is stored and given to all that follows; kind is `smartcard` or `stb`. Without it: the CA ID without blanks around it.",
    ),
    hook(
        "validate(request, cfg)",
        "`()`, or what is wrong in the operator's words: the request is refused before anything is stored.",
    ),
    hook(
        "plan(request, cfg)",
        "The ordered steps, `#{ confirms: \"pair\" | \"unpair\" | \"none\", card, stb, data }`; recorded before the first is sent. Without it one step that confirms the request. request: action, number, card, stb (to pair with), products; as the CAS acknowledged it last, `card_stbs`: the STBs that the card has, `stb_cards`: the other cards of `stb` that stay there, `leaves`: the STBs that the card leaves, each `#{ stb, cards }` with the other cards that stay there, and `previous_stb`: the first of them or (). Where `caps.card_to_stb` is not 1, `stb` of an unpair step is the STB that it ends.",
    ),
    hook(
        "encode(step, ctx)",
        "Needed. `#{ body, key }`: the payload of one step, and what its answer will carry. body is a text or a blob, key a text. Over HTTP `#{ method, path, headers, body }`. ctx: transaction, now (Unix seconds), date (YYYYMMDD), lane, cfg.",
    ),
    hook(
        "decode(frame, ctx)",
        "Needed. What a frame from the CAS means, below. It must bear anything: look before you read. ctx has `cfg` only: what was asked is not known here, so an answer to a query must say yes or no by itself.",
    ),
    hook(
        "keepalive(ctx, state)",
        "`#{ body, key }` of a keepalive; needed with `keepalive_every` or `ready_after`.",
    ),
    hook(
        "query(request, ctx)",
        "`#{ body, key }` that asks what the CAS holds; needed with `caps.query`. The answer is `ok` if it holds what is asked for, `refused` if it does not.",
    ),
    hook(
        "explain(code)",
        "The meaning of a code; else the line of `errors.csv`.",
    ),
    hook(
        "on_connect(ctx, state)",
        "After the connect: `#{ send, state }`, with `ready: true` or `fail: \"why\"` if that is decided already. Without it the session is ready at once.",
    ),
    hook(
        "on_frame(frame, state)",
        "A frame before the session is ready: `#{ send, state, keep, ready, fail }`. `keep: #{ session: \"...\" }` are values that later frames name as `{{session}}` and no record holds. The settings are not given here: put what is needed of them into `state` in `on_connect`.",
    ),
    hook(
        "fields(frame)",
        "The parts of a frame by name, `[[name, at, length], ...]`, for `test --trace` and `try`.",
    ),
];

/// Functions of `simulator.rhai`. Its state is `this`.
pub(crate) const SIMULATOR: &[HookDoc] = &[
    hook(
        "init(cfg)",
        "Fills `this`. cfg: the provider's settings, `--set NAME=VALUE`, its `secrets`, and `fault` (`refuse`, `busy` or `hello`) in the copy of the script that speaks a fault; that copy has heard nothing, no login and no pairing: look at `fault` before anything else. With `--state-file` what changes afterwards is kept over a restart; what stays as `init` made it is not.",
    ),
    hook("on_connect(connection)", "The frames that greet a client."),
    hook(
        "on_frame(frame, connection)",
        "Needed. The frames that answer one.",
    ),
    hook("on_close(connection)", "A client is gone."),
    hook(
        "pairings()",
        "Needed. What this CAS holds: a map of card to STB, of several joined by `+`.",
    ),
    hook(
        "kind(frame)",
        "`hello`, `keepalive` or `command`: faults are for commands. Without it the engine tells by place and length.",
    ),
];

/// Keys of `describe()`.
const KEYS: &[(&str, &str)] = &[
    (
        "framing.len",
        "`#{ bytes: 1 \\| 2 \\| 4, endian, includes_self, adjust, max }`: a length before each payload; endian: \"big\" (the default) or \"little\"; `adjust` is added to the number read.",
    ),
    (
        "framing.header",
        "`#{ size, len_at, len_bytes, endian, adjust, magic, max }`: a header with the length of what follows; the payload is both, and the engine writes the length. `adjust` is added to the number read: minus `size` where it counts the header too. `magic`: what each header begins with, a text or a blob such as `from_hex(\"4f43\")`.",
    ),
    (
        "framing.stxetx",
        "`#{ stx: 2, etx: 3, escape, checksum, max }`: between two bytes; checksum over payload and end byte: none, xor, lrc, crc16_ccitt, crc16_modbus.",
    ),
    (
        "framing.delim",
        "`#{ bytes, max }`: the payload, then these bytes.",
    ),
    ("framing.fixed", "`#{ size }`: every payload has this size."),
    (
        "framing.http",
        "`#{ max }`: HTTP/1.1. A frame is `#{ method, path, headers, body }` or `#{ status, headers, body }`; a body that is a map or an array goes as JSON.",
    ),
    (
        "session.connect_timeout, reply_timeout",
        "Spans with a unit: \"250ms\", \"10s\", \"5m\"; defaults 5s and 10s.",
    ),
    (
        "session.keepalive_every, ready_after",
        "A keepalive this often; so many must be answered before commands flow. Default: none.",
    ),
    (
        "session.lanes, window",
        "Connections (1 to 64), and commands in flight on each (1 to 4096); default 1.",
    ),
    (
        "session.matching",
        "`key`: an answer carries the key of its command. `fifo`: answers come in order; then the window is 1, there are no keepalives, and whatever is lost or too much ends the connection; give a `key` all the same if answers repeat anything of the command. HTTP is always fifo.",
    ),
    (
        "session.rate_per_s, min_gap",
        "Commands a second, and the least span between two; default: no limit.",
    ),
    (
        "session.reconnect_min, reconnect_max",
        "The wait before a new connection, doubled each time; default 1s and 60s.",
    ),
    (
        "session.ambiguous",
        "After a command whose answer never came: `resend` (only if twice is as once), `query` (ask first), `hold` (a person decides; the default).",
    ),
    (
        "transaction",
        "`#{ min, max }`: the numbers that commands and keepalives draw from; durable, and none twice while it is unanswered.",
    ),
    (
        "caps",
        "`#{ pair, unpair, query, products, pin, needs_previous_stb, card_to_stb, stb_to_card }`: what the CAS can do. `card_to_stb` (default 1) and `stb_to_card` (default 0): the most STBs that it lets a card have, and cards an STB; 0 is any number. The provider's `stbs_per_card` and `cards_per_stb` say how many of them the site uses, one each unless they are set. With `products: true`, or `pin: true` (or the name of a setting that must not be empty), requests have the actions add_products and cancel_products (`request.products`: texts) or reset_pin; `plan` gives them steps that confirm `none`, with all that `encode` needs in `data`.",
    ),
];

/// What `decode` returns.
const ANSWERS: &[(&str, &str)] = &[
    (
        "reply",
        "`#{ kind: \"reply\", key, outcome, code, text, reference, busy_s, ends_session }`. outcome: ok, already, refused, retry, busy (for `busy_s` seconds), fatal (pauses the provider). `ends_session: true` makes a new connection.",
    ),
    (
        "push",
        "`#{ kind: \"push\", data, reply }`: the CAS spoke first; recorded, then `reply` is sent.",
    ),
    (
        "keepalive",
        "The answer to a keepalive, where it is marked as one.",
    ),
    (
        "ignore",
        "It answers nothing. Where answers come in order, that ends the connection.",
    ),
];

/// Secrets in frames, before the table of filters.
const SECRETS: &str = "\
A frame names a secret as `{{password}}`: one of `[provider.secrets]`, or of what `on_frame` keeps of the session. The connection puts the value in when it sends, \
behind the script and the record, which hold the name only. So a script cannot measure a value: `prefix_u8(\"{{password}}\".to_blob())` is the length of the name. \
A filter behind the name gives the value its form, its width or its length: `put_ascii(\"{{user|prefix_u8}}{{password|prefix_u8}}\")`. One of texts may stand \
first, others behind it: `{{password|base64|prefix_u16be}}`. What the framing computes (its length, its checksum, the length in its header, HTTP's \
Content-Length) is computed of what is sent. A length or checksum of the script's own over a secret is right only where `pad:N` or `zeros:N` fixes the \
width, and then counts N. A frame that names an unknown secret or filter, or whose secret is too long for its width, is not sent. `mapping try` says how many bytes \
went out and how many secrets were put in.";

/// What a file of `cases/` may hold.
const CASES: &[(&str, &str)] = &[
    (
        "name, request, frames, steps",
        "`plan` and `encode` of a request. `request`: what a mapping gets, `action` (pair, unpair, add_products, cancel_products, reset_pin), `number`, `card`, `stb`, `previous_stb`, and if they matter `products`, `card_stbs`, `stb_cards`, `leaves`. `frames`: one for each step, `{text \\| hex, key, wire}`; `wire` is the whole frame with its framing. `steps` may be left out, `key` and `wire` too.",
    ),
    ("name, request, refused", "What `validate` says against it."),
    ("name, keepalive", "The frame of a keepalive."),
    (
        "name, request, query",
        "The frame that asks about a request.",
    ),
    (
        "name, normalize, gives",
        "`normalize: {kind, ca_id}` and the CA ID that it gives.",
    ),
    (
        "name, frame, outcome",
        "`frame: {text \\| hex}` and what `decode` returns, in the words of the table above.",
    ),
    (
        "name, session",
        "A session before it is ready, line by line: `{connect: true}` or `{frame}` with what it asks for, `send` (a list of frames), `keep`, `ready: true` or `fail`.",
    ),
];

/// What `pairbox simulate --fault` can do.
const FAULTS: &[(&str, &str)] = &[
    (
        "drop, late, close",
        "The command is taken; its answer is lost, comes after the time-out, or the connection ends instead.",
    ),
    (
        "refuse, busy",
        "Said by the script in its own words, where it knows `fault`.",
    ),
    (
        "duplicate, reorder, split, merge",
        "The answer comes twice, behind a later one, in two parts, together with the next.",
    ),
    (
        "hello, keepalive",
        "A greeting is refused, a keepalive is not answered.",
    ),
];

/// The whole page.
pub fn text() -> String {
    let mut page = String::from(
        "# Mappings: the reference\n\nMade from the code; a test keeps it fresh. How to connect a CAS, step by step: \
         [connect-a-cas.md](connect-a-cas.md).\n\nA function of a script gets copies of its arguments and sees nothing else; \
         called as a method (`ctx.header(\"01\")`) it has them as `this`, in place. An anonymous function captures nothing. \
         A call has 500,000 operations and one second.\n",
    );
    hooks(&mut page, "Functions of mapping.rhai", MAPPING);
    pairs(&mut page, "Keys of `describe()`", "key", KEYS);
    pairs(&mut page, "What `decode` returns", "kind", ANSWERS);
    let _ = write!(
        page,
        "\n## Secrets in frames\n\n{SECRETS}\n\n| filter | |\n|---|---|\n"
    );
    for (word, doc) in FILTERS {
        let _ = writeln!(page, "| `{word}` | {doc} |");
    }
    hooks(&mut page, "Functions of simulator.rhai", SIMULATOR);
    pairs(
        &mut page,
        "Faults of a simulator: `--fault drop=1%,late=5%`",
        "fault",
        FAULTS,
    );
    page.push_str(
        "\n## Cases\n\nA file of `cases/` is a case, a list of cases, or `{cfg, ctx, cases}` whose cases inherit both. `cfg`: the \
         settings that `settings()` wants. `ctx`: `{transaction, now, lane}`; each frame of a plan takes the next transaction number.\n",
    );
    pairs(&mut page, "Keys of a case", "keys", CASES);
    for (title, helpers) in [
        ("Helpers that build a frame", BUILD),
        ("Helpers that read a frame", READ),
        ("Texts, dates, checksums, tables", TEXTS),
        ("JSON, XML, forms", DOCUMENTS),
    ] {
        self::helpers(&mut page, title, helpers);
    }
    page
}

fn hooks(page: &mut String, title: &str, hooks: &[HookDoc]) {
    let _ = write!(page, "\n## {title}\n\n| function | |\n|---|---|\n");
    for HookDoc { call, doc } in hooks {
        let _ = writeln!(page, "| `{call}` | {} |", doc.replace(" | ", " \\| "));
    }
}

fn pairs(page: &mut String, title: &str, what: &str, rows: &[(&str, &str)]) {
    let _ = write!(page, "\n## {title}\n\n| {what} | |\n|---|---|\n");
    for (name, doc) in rows {
        let _ = writeln!(page, "| `{name}` | {doc} |");
    }
}

fn helpers(page: &mut String, title: &str, helpers: &[Helper]) {
    let _ = write!(
        page,
        "\n## {title}\n\n| call | | example | gives |\n|---|---|---|---|\n"
    );
    for Helper {
        call,
        doc,
        example,
        gives,
        ..
    } in helpers
    {
        let _ = writeln!(page, "| `{call}` | {doc} | `{example}` | `{gives}` |");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{mapping, simulator};
    use super::*;

    #[test]
    fn every_function_of_the_contract_is_in_the_reference() {
        for (docs, hooks) in [(MAPPING, mapping::HOOKS), (SIMULATOR, simulator::HOOKS)] {
            let mut told: Vec<&str> = docs
                .iter()
                .filter_map(|hook| hook.call.split('(').next())
                .collect();
            let mut known: Vec<&str> = hooks.iter().map(|(name, _)| *name).collect();
            told.sort_unstable();
            known.sort_unstable();
            assert_eq!(told, known);
        }
    }
}
