//! The secrets that a mapping's texts and cases name, judged before any frame is sent: `{{pasword}}`, `{{password|jsn}}`.
//!
//! Which names there are only a configuration knows, and what `on_frame` keeps. Without one, filters alone are judged; what a
//! script puts together while it runs, the lane judges when it sends.

use super::cases::Seen;
use super::check::Finding;
use super::load::Origin;
use super::scan::{code, texts};
use crate::domain::placeholder::first_slip;

/// The texts of `mapping.rhai` that name what is not known. `configured`: the names of [provider.secrets]; none: no provider has
/// the mapping, and only filters are judged.
pub fn unknown_in_script(origin: &Origin, configured: Option<&[String]>) -> Vec<Finding> {
    let Ok(Some(script)) = origin.read("mapping.rhai") else {
        // Other checks tell of it.
        return Vec::new();
    };
    let known = known(&script, configured);
    texts(&script)
        .into_iter()
        .filter_map(|text| {
            let slip = first_slip(text.written.as_bytes(), known.as_deref())?;
            Some(Finding {
                file: format!("{}/mapping.rhai", origin.name()),
                line: Some(text.line),
                column: Some(text.column),
                message: slip.to_string(),
                hint: None,
            })
        })
        .collect()
}

/// The same of the frames that the cases had the script make.
pub fn unknown_in_frames(
    origin: &Origin,
    seen: &[Seen],
    configured: Option<&[String]>,
) -> Result<(), String> {
    let script = origin.read("mapping.rhai").ok().flatten();
    let known = known(&script.unwrap_or_default(), configured);
    let sent = seen.iter().filter(|seen| seen.is_sent);
    for seen in sent {
        if let Some(slip) = first_slip(&seen.frame, known.as_deref()) {
            return Err(format!("{}: {slip}", seen.case));
        }
    }
    Ok(())
}

/// The names of values that the script of a mapping keeps from its session, as far as they can be told.
pub fn kept_by(origin: &Origin) -> Vec<String> {
    let script = origin.read("mapping.rhai").ok().flatten();
    kept(&code(&script.unwrap_or_default())).unwrap_or_default()
}

/// What is configured and what the script keeps; none if either cannot be told.
fn known(script: &str, configured: Option<&[String]>) -> Option<Vec<String>> {
    let mut known = configured?.to_vec();
    known.extend(kept(&code(script))?);
    Some(known)
}

/// The names in `keep: #{ ... }`; none if `keep` is used otherwise, for then it may hold anything.
fn kept(code: &str) -> Option<Vec<String>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for (at, _) in code.match_indices("keep") {
        let (before, behind) = (code.get(..at)?, code.get(at + "keep".len()..)?);
        if before.ends_with(is_word) || behind.starts_with(is_word) {
            continue;
        }
        let map = behind.trim_start().strip_prefix(':')?.trim_start();
        let inside = map.strip_prefix("#{")?;
        let (mut depth, mut word) = (1, String::new());
        for character in inside.chars() {
            match character {
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => depth -= 1,
                ':' if depth == 1 => names.push(std::mem::take(&mut word)),
                _ if is_word(character) => {
                    word.push(character);
                    continue;
                }
                '"' => continue,
                _ if character.is_whitespace() => continue,
                _ => {}
            }
            word.clear();
            if depth == 0 {
                break;
            }
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_session_keeps_is_known() {
        let code = "#{ keep: #{ session: answer[state.field], \"again\" : f(#{ x: 1 }) }, ready: true } let keeper = 1;";
        assert_eq!(kept(code).unwrap(), ["session", "again"]);
        assert_eq!(kept("let a = 1;").unwrap(), [""; 0]);
        assert_eq!(kept("#{ keep: found }"), None);
        assert_eq!(kept("answer.keep = x"), None);
    }

    #[test]
    fn a_text_that_names_what_is_not_known_is_found_with_its_place() {
        let scripts = tempfile::tempdir().unwrap();
        let folder = scripts.path().join("mappings/draft");
        std::fs::create_dir_all(&folder).unwrap();
        let script = "// {{comment|x}}\nfn on_frame(f, s) { #{ keep: #{ session: 1 } } }\nfn encode(step, ctx) {\n  \
                      let a = \"LOGIN {{pasword}}\";\n  `{{session}} {{password|jsn}}`\n}";
        std::fs::write(folder.join("mapping.rhai"), script).unwrap();
        let origin = Origin::Folder(folder);
        let found = |known: Option<&[String]>| -> Vec<(Option<usize>, Option<usize>)> {
            let findings = unknown_in_script(&origin, known);
            findings.iter().map(|one| (one.line, one.column)).collect()
        };
        let configured = ["password".to_owned()];
        assert_eq!(
            found(Some(&configured)),
            [(Some(4), Some(11)), (Some(5), Some(3))]
        );
        assert_eq!(found(None), [(Some(5), Some(3))]);
        let findings = unknown_in_script(&origin, Some(&configured));
        assert!(findings[0].message.ends_with("did you mean `password`?"));
    }
}
