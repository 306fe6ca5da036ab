//! Validation of statements without a kernel: what a kernel of the target's dialect would refuse.

use ipsec_conf::setkey::{Command, ParseError, Statement};
use libpfkey::MessageType;
use libpfkey::request::Origin;
use zeroize::Zeroizing;

use crate::compose::{self, Refusal, Target};

/// A fault of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// What is wrong, and where in the statement.
    pub(crate) error: ParseError,
}

/// What a finding means for the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// It is loaded, or the running kernel's version decides.
    Warning,
    /// No kernel of the dialect takes it.
    Error,
}

/// Validates the statements of a file in their order. Each finding comes with the index of its statement.
///
/// The kernel's own state is not asked for: a `delete` of what the file did not create is no error.
#[expect(dead_code, reason = "2026-11-29: loads that replace validate the whole file with it")]
pub(crate) fn validate(statements: &[Statement<'_>], target: Target<'_>) -> Vec<(usize, Finding)> {
    let mut validator = Validator::new(target);
    let of_statement = |(index, statement)| validator.statement(statement).into_iter().map(move |one| (index, one));
    statements.iter().enumerate().flat_map(of_statement).collect()
}

/// Validates statements one by one.
#[derive(Debug)]
pub(crate) struct Validator<'k> {
    target: Target<'k>,
}

impl<'k> Validator<'k> {
    pub(crate) fn new(target: Target<'k>) -> Self {
        Self { target }
    }

    /// What is wrong with the next statement, warnings first.
    pub(crate) fn statement(&mut self, statement: &Statement<'_>) -> Vec<Finding> {
        let mut warnings = Vec::new();
        let judged = self.compose(statement, &mut warnings);
        let warning = |error| Finding { severity: Severity::Warning, error };
        let mut findings: Vec<Finding> = warnings.into_iter().map(warning).collect();
        let error = match judged {
            Ok(()) => return findings,
            Err(Refusal::Error(error)) => *error,
            Err(Refusal::Families) => {
                let text = "source and destination are of different address families";
                statement.error_at_end(first_word(statement), text)
            }
        };
        findings.push(Finding { severity: Severity::Error, error });
        findings
    }

    /// Composes what a run would send, which finds what a run would find before it asks the kernel.
    fn compose(&self, statement: &Statement<'_>, warnings: &mut Vec<ParseError>) -> Result<(), Refusal> {
        let target = &self.target;
        let origin = Origin { abi: target.abi, pid: 0, seq: 0 };
        let mut bytes = Zeroizing::new(Vec::new());
        let unsendable = |error: libpfkey::Error| statement.error_at_end(first_word(statement), error.to_string());
        let mut sa = |message_type, sa| -> Result<(), Refusal> {
            let plan = compose::plan_sa(message_type, statement, sa, target, warnings)?;
            plan.pairs.iter().try_for_each(|pair| plan.emit(origin, *pair, &mut bytes)).map_err(unsendable)?;
            Ok(())
        };
        let spd = |message_type, spd| -> Result<(), Refusal> {
            let plan = compose::plan_spd(message_type, statement, spd, target)?;
            plan.emit(origin, &mut Vec::new()).map_err(unsendable)?;
            Ok(())
        };
        match &statement.command {
            Command::Add(operands) => sa(MessageType::Add, operands),
            Command::Update(operands) => sa(MessageType::Update, operands),
            Command::GetSpi(operands) => sa(MessageType::GetSpi, operands),
            Command::Get(operands) => sa(MessageType::Get, operands),
            Command::Delete(operands) => sa(MessageType::Delete, operands),
            Command::DeleteAll { options, source, destination, .. } => {
                compose::host_pairs(statement, *source, *destination, *options, target.names).map(drop)
            }
            Command::SpdAdd(operands) => spd(MessageType::SpdAdd, operands),
            Command::SpdUpdate(operands) => spd(MessageType::SpdUpdate, operands),
            Command::SpdDelete(operands) => spd(MessageType::SpdDelete, operands),
            Command::Dump(_) | Command::Flush(_) | Command::SpdDump | Command::SpdFlush | Command::Quit => Ok(()),
        }
    }
}

/// Where the statement itself begins.
fn first_word(statement: &Statement<'_>) -> usize {
    statement.source.len() - statement.source.trim_start().len()
}
