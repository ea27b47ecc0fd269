//! `pairbox process`: one pass over what is due, watched until nothing of it is left to begin or in flight.

use std::time::Duration;

use clap::Args;

use super::backend::{Backend, Sending};
use super::error::CliError;
use super::exit::Exit;
use super::global::Global;
use super::output::say;
use super::progress::{Progress, seconds};
use crate::control::{ProcessBegin, ProcessProgress};

#[derive(Args)]
pub struct ProcessArgs {}

const LOOK_EVERY: Duration = Duration::from_millis(100);

impl ProcessArgs {
    pub fn run(global: &Global) -> Result<Exit, CliError> {
        let config = global.load_quietly()?;
        let backend = Backend::open(&config, Sending::On)?;
        let run = backend.call::<ProcessBegin>(&())?;
        let mut progress = Progress::new("requests ended", None);
        let pass = loop {
            let pass = backend.call::<ProcessProgress>(&run)?;
            if pass.is_over {
                break pass;
            }
            progress.at(0, pass.completed + pass.rejected);
            std::thread::sleep(LOOK_EVERY);
        };
        let took = seconds(progress.end());
        say(&format!(
            "run {run}: {} due, {} completed, {} rejected, {} to be tried again, in {took}",
            pass.due, pass.completed, pass.rejected, pass.put_off
        ))?;
        Ok(if pass.rejected == 0 && pass.put_off == 0 {
            Exit::Done
        } else {
            Exit::No
        })
    }
}
