//! Reading a mapping with a cold eye before it runs: `pairbox mapping check` and `pairbox check`.
//!
//! Compiles both scripts, reads `describe()`, and looks for calls of functions that neither the script nor the engine has: rhai
//! finds those only when the line is reached. Nothing here runs a hook but `describe` and `settings`.

use super::codec;
use super::error::{ScriptError, nearest};
use super::load::Origin;
use super::mapping::Mapping;
use super::program::Program;
use super::scan::calls;
use super::simulator;

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    /// The file as an operator names it, e.g. `smsgw/mapping.rhai`.
    pub file: String,
    pub line: Option<usize>,
    pub column: Option<usize>,
    pub message: String,
    pub hint: Option<String>,
}

impl Finding {
    /// In one line.
    pub fn words(&self) -> String {
        let mut words = self.file.clone();
        for number in [self.line, self.column].into_iter().flatten() {
            words = format!("{words}:{number}");
        }
        words = format!("{words}: {}", self.message);
        match &self.hint {
            Some(hint) => format!("{words}; {hint}"),
            None => words,
        }
    }
}

/// Everything that is wrong with a mapping's scripts; empty if nothing was found.
pub fn check_mapping(origin: &Origin) -> Vec<Finding> {
    let mut findings = Vec::new();
    match Mapping::from_origin(origin.clone()) {
        Ok(mapping) => {
            findings.extend(unknown_calls(&mapping.program, &[]));
            if let Err(error) = mapping.check_settings() {
                findings.push(finding(&error, origin));
            }
        }
        Err(error) => findings.push(finding(&error, origin)),
    }
    match origin.read("simulator.rhai") {
        Ok(None) => {}
        Ok(Some(text)) => match simulator::compile(&origin.name(), text) {
            Ok(program) => findings.extend(unknown_calls(&program, &[])),
            Err(error) => findings.push(finding(&error, origin)),
        },
        Err(error) => findings.push(finding(&error, origin)),
    }
    findings
}

fn finding(error: &ScriptError, origin: &Origin) -> Finding {
    let place = error.place();
    let mut message = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        message = format!("{message}: {source}");
    }
    if let Some(place) = place {
        let prefix = format!("{place}: ");
        message = message
            .strip_prefix(&prefix)
            .map(str::to_owned)
            .unwrap_or(message);
    }
    Finding {
        file: place.map_or_else(|| origin.name(), |place| place.script.clone()),
        line: place.and_then(|place| place.line),
        column: place.and_then(|place| place.column),
        message,
        hint: error.hint(),
    }
}

/// Calls of functions that neither the script nor the engine nor `hosts` has.
pub(super) fn unknown_calls(program: &Program, hosts: &[&str]) -> Vec<Finding> {
    let own: Vec<&str> = program.function_names().collect();
    let known = || {
        own.iter()
            .copied()
            .chain(hosts.iter().copied())
            .chain(codec::reference::names().map(|name| -> &str { name }))
            .chain(RHAI_NAMES.split_whitespace())
    };
    calls(program.text())
        .into_iter()
        .filter(|call| !known().any(|name| name == call.name))
        .map(|call| Finding {
            file: program.script().to_owned(),
            line: Some(call.line),
            column: Some(call.column),
            message: format!("no function `{}` is known", call.name),
            hint: nearest(call.name, known()).map(|name| format!("did you mean `{name}`?")),
        })
        .collect()
}

/// The names of functions and keywords that rhai 1.27 itself has with `name(`; kept by hand, because the engine lists its
/// functions only in builds with metadata.
const RHAI_NAMES: &str = "\
    if while until switch for return throw in fn catch print debug type_of is_def_var is_def_fn Fn call curry is_shared \
    abs all append as_string atan bits blob bytes ceiling chars chop clear contains cos crop dedup drain elapsed end \
    ends_with exit exp extract fill_with filter find find_map floor for_each fraction get get_bit get_bits index_of insert int \
    is_anonymous is_empty is_even is_exclusive is_inclusive is_odd is_zero keys len ln log make_lower make_upper map max min \
    mixin name order order_by order_desc pad parse_decimal parse_float parse_int parse_json pop push range reduce reduce_rev \
    remove replace retain reverse round rsplit set set_bit set_bits set_tag shift sign sin some sort sort_by sort_desc splice \
    split split_rev sqrt start starts_with sub_string tag take tan to_array to_binary to_blob to_chars to_debug to_decimal \
    to_float to_hex to_int to_json to_lower to_octal to_string to_upper trim truncate values zip fill get_fn_metadata_list";

#[cfg(test)]
mod tests {
    use super::*;

    /// The registered helpers are not listed by the engine, so the list is held against their source.
    #[test]
    fn every_helper_is_in_the_list_of_names() {
        let sources = [
            include_str!("codec/put.rs"),
            include_str!("codec/read.rs"),
            include_str!("codec/text.rs"),
            include_str!("codec/checksum.rs"),
            include_str!("codec/document.rs"),
            include_str!("lookup.rs"),
        ];
        let mut registered: Vec<&str> = sources
            .iter()
            .flat_map(|source| source.split('"'))
            .collect::<Vec<_>>()
            .windows(2)
            .filter(|pair| {
                let before = pair[0].trim_end();
                ["register_fn(", "pure(", "new("]
                    .iter()
                    .any(|call| before.ends_with(call))
                    || before.ends_with(">(engine,")
            })
            .map(|pair| pair[1])
            .collect();
        registered.sort_unstable();
        registered.dedup();
        let mut listed: Vec<&str> = codec::reference::names().collect();
        listed.sort_unstable();
        assert_eq!(registered, listed);
    }

    fn in_folder(script: &str) -> Vec<Finding> {
        let scripts = tempfile::tempdir().unwrap();
        let folder = scripts.path().join("mappings/draft");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("mapping.rhai"), script).unwrap();
        check_mapping(&Origin::Folder(folder))
    }

    const GOOD: &str = "fn describe() { #{ framing: #{ len: #{ bytes: 2, max: 99 } }, session: #{}, transaction: #{ max: 9 }, \
                        caps: #{} } }\n";

    #[test]
    fn the_shipped_mappings_have_no_findings() {
        for name in super::super::shipped::mapping_names() {
            assert_eq!(
                check_mapping(&Origin::BuiltIn(name.to_owned())),
                Vec::new(),
                "{name}"
            );
        }
    }

    #[test]
    fn a_syntax_error_has_its_line_and_column() {
        let findings = in_folder("fn describe() {\n  let a = ;\n}");
        assert_eq!((findings[0].line, findings[0].column), (Some(2), Some(11)));
        assert_eq!(findings[0].file, "draft/mapping.rhai");
    }

    #[test]
    fn a_hook_with_a_missing_parameter_is_found() {
        let script = format!("{GOOD}fn encode(step) {{ () }}\nfn decode(frame, ctx) {{ () }}");
        let findings = in_folder(&script);
        assert_eq!(
            findings[0].message,
            "function `encode` takes 1 arguments where the contract has 2"
        );
        assert_eq!(findings[0].line, Some(2));
    }

    #[test]
    fn a_call_of_an_unknown_function_is_found_with_its_neighbour() {
        let script = format!(
            "{GOOD}fn encode(step, ctx) {{\n  let body = blob(); // put_u88(\n  body.put_u16eb(1);\n}}\nfn decode(frame, ctx) {{ () }}"
        );
        let findings = in_folder(&script);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].message, "no function `put_u16eb` is known");
        assert_eq!((findings[0].line, findings[0].column), (Some(4), Some(8)));
        assert!(
            findings[0]
                .hint
                .as_deref()
                .unwrap()
                .starts_with("did you mean `put_u16")
        );
    }

    #[test]
    fn a_wrong_key_of_describe_is_named_with_its_neighbour() {
        let script = "fn describe() { #{ framing: #{ len: #{ bytes: 2, max: 99 } }, session: #{ windwo: 3 }, transaction: \
                      #{ max: 9 }, caps: #{} } }\nfn encode(step, ctx) { () }\nfn decode(frame, ctx) { () }";
        let findings = in_folder(script);
        assert_eq!(
            findings[0].message,
            "`describe` gave a wrong value: session has no key `windwo`"
        );
        assert_eq!(findings[0].hint.as_deref(), Some("did you mean `window`?"));
    }
}
