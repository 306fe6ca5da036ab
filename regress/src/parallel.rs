//! Commands that run two at a time, with the output of each kept together.

use std::io::{Write as _, stdout};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::command::{CommandResult, HostCommand};

/// Runs the commands, as many at a time as there are processors but at most two: more kernels of the lab slow each other down.
///
/// The output of a command is printed when it has ended, and the command is then passed to `evaluate`. Results are in the order of
/// the commands.
pub(crate) fn run<T: Send>(commands: Vec<HostCommand>, evaluate: impl Fn(&CommandResult) -> T + Sync) -> Vec<T> {
    let lanes = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(2);
    let waiting = Mutex::new(commands.into_iter().enumerate());
    let results = Mutex::new(Vec::new());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let lane = || {
        while let Some((index, command)) = next() {
            let done = command.run_captured();
            // The lock also keeps the output of two commands apart.
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = stdout().write_all(done.output.as_bytes());
            results.push((index, evaluate(&done)));
        }
    };
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(lane);
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_output_keep_the_order_of_the_commands() {
        let commands = ["echo 1; echo warned >&2", "echo 2; exit 3"];
        let commands = commands.map(|script| HostCommand::new("sh").arg("-c").arg(script));
        let results = run(commands.into(), |done| (done.output.clone(), done.result.is_ok()));
        assert_eq!(
            results,
            [
                ("$ sh -c echo 1; echo warned >&2\n1\nwarned\n".to_owned(), true),
                ("$ sh -c echo 2; exit 3\n2\n".to_owned(), false)
            ]
        );
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let command = HostCommand::new("/no/such/program");
        let results = run(vec![command], |done| done.result.as_ref().unwrap_err().to_string());
        assert_eq!(results, ["program"]);
    }
}
