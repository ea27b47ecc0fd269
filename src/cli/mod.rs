//! The command line: one file per noun, each a translation between what was typed and a verb of `control/`.
//!
//! Decides nothing about pairings. `run` parses, finds the configuration, runs one command, and turns errors into words and
//! an exit code; stdout is for answers, stderr for errors and progress.

mod backend;
mod check;
mod data_dir;
mod demo;
mod error;
mod exit;
mod failures;
mod follow;
mod free;
mod global;
mod import;
mod init;
mod item;
mod job;
mod key;
mod ledger;
mod mapping;
mod named;
mod output;
mod pair;
mod pairing;
mod password;
mod process;
mod progress;
mod provider;
mod reload;
mod request;
mod run;
mod serve;
mod simulate;
mod status;
mod store;
mod subscription;
mod user;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::CliError;
use exit::Exit;
use global::Global;

/// Keeps, sends and explains pairings of smartcards and set-top boxes.
#[derive(Parser)]
#[command(name = "pairbox", version, max_term_width = 100, after_help = EXIT_CODES)]
struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 usage, 3 ran and the answer is no, 4 no server, \
     5 data directory locked, 6 refused for safety.";

#[derive(Subcommand)]
enum Command {
    /// See it work: simulator, server and a few hundred cards in a scratch directory
    Demo(demo::DemoArgs),
    /// Write a commented configuration, the shipped scripts and an empty data directory
    Init(init::InitArgs),
    /// Read configuration and scripts and say everything that is wrong
    Check,
    /// Accept, keep and send until stopped
    Serve(serve::ServeArgs),
    /// The CAS side of a mapping as a real server
    Simulate(simulate::SimulateArgs),
    /// Have the running server read configuration, certificates and scripts again, all or nothing
    Reload,
    /// The box at a glance
    Status(status::StatusArgs),
    /// Send what is due, once
    Process(process::ProcessArgs),
    /// Pair a smartcard with an STB; without STB, send its present pairing again
    Pair(pair::PairArgs),
    /// Unpair a smartcard from its STB
    Unpair(pair::UnpairArgs),
    /// Run a script: a bulk job over a vendor's file, or an administrator's own
    Run(run::RunArgs),
    /// Bulk jobs
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Smartcards and STBs
    #[command(subcommand)]
    Item(item::ItemCommand),
    /// Subscriptions
    #[command(subcommand)]
    Subscription(subscription::SubscriptionCommand),
    /// Provisioning requests
    #[command(subcommand)]
    Request(request::RequestCommand),
    /// Which card is with which STB
    #[command(subcommand)]
    Pairing(pairing::PairingCommand),
    /// The configured CASs
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    /// The record of everything
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// The state beside the ledger
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Users of the API
    #[command(subcommand)]
    User(user::UserCommand),
    /// API keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// The scripts that speak a CAS's language
    #[command(subcommand)]
    Mapping(mapping::MappingCommand),
}

/// Runs one command line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Nothing is left to do if the message cannot be written.
            let _ = error.print();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            return exit.into();
        }
    };
    let exit = match line.command.run(&line.global) {
        Ok(exit) => exit,
        Err(error) => {
            error.tell();
            error.exit()
        }
    };
    exit.into()
}

impl Command {
    fn run(self, global: &Global) -> Result<Exit, CliError> {
        match self {
            Self::Demo(args) => args.run(),
            Self::Init(args) => args.run(),
            Self::Check => check::run(global),
            Self::Serve(args) => args.run(global),
            Self::Simulate(args) => args.run(global),
            Self::Reload => reload::run(global),
            Self::Status(args) => args.run(global),
            Self::Process(_) => process::ProcessArgs::run(global),
            Self::Pair(args) => args.run(global),
            Self::Unpair(args) => args.run(global),
            Self::Run(args) => args.run(global),
            Self::Job(command) => command.run(global),
            Self::Item(command) => command.run(global),
            Self::Subscription(command) => command.run(global),
            Self::Request(command) => command.run(global),
            Self::Pairing(command) => command.run(global),
            Self::Provider(command) => command.run(global),
            Self::Ledger(command) => command.run(global),
            Self::Store(command) => command.run(global),
            Self::User(command) => command.run(global),
            Self::Key(command) => command.run(global),
            Self::Mapping(command) => command.run(global),
        }
    }
}
