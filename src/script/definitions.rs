//! What editors are told of the host functions: `scripts/pairbox.d.rhai`, made from the tables that register them.

use std::fmt::Write;

use super::{free, job};

/// A host function as a reader needs it.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    name: &'static str,
    parameters: std::borrow::Cow<'static, str>,
    doc: &'static str,
}

impl Function {
    pub(crate) const fn new(
        name: &'static str,
        parameters: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            parameters: std::borrow::Cow::Borrowed(parameters),
            doc,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn owned(name: &'static str, parameters: String, doc: &'static str) -> Self {
        Self {
            name,
            parameters: parameters.into(),
            doc,
        }
    }
}

/// The whole file.
pub fn text() -> String {
    let mut text = String::from(
        "// Functions that pairbox gives to scripts, for editors. Made by the program; a test keeps it fresh.\n\nmodule static;\n",
    );
    section(&mut text, "Bulk jobs: `row(row, job)`", job::FUNCTIONS);
    section(
        &mut text,
        "Free scripts: `main(args)`. Also: print(text)",
        &free::functions(),
    );
    text
}

fn section(text: &mut String, title: &str, functions: &[Function]) {
    let _ = writeln!(text, "\n// {title}");
    for Function {
        name,
        parameters,
        doc,
    } in functions
    {
        let _ = write!(text, "\n/// {doc}\nfn {name}({parameters});\n");
    }
}
