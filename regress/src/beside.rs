//! Work that runs two at a time, each with its output in one piece.

use std::io::{Write as _, stdout};
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::job::{Done, Job};

/// Runs the jobs, as many at a time as there are processors but never more than two: the kernels of the lab do not share
/// well. What a job prints is shown when it is done, and then judged. The answers come in the order of the jobs.
pub(crate) fn run<T: Send>(jobs: Vec<Job>, judge: impl Fn(&Done) -> T + Sync) -> Vec<T> {
    let lanes = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(2);
    let waiting = Mutex::new(jobs.into_iter().enumerate());
    let judged = Mutex::new(Vec::new());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let lane = || {
        while let Some((place, job)) = next() {
            let done = job.captured();
            // The lock is also what keeps the outputs apart.
            let mut judged = judged.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = stdout().write_all(done.output.as_bytes());
            judged.push((place, judge(&done)));
        }
    };
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(lane);
        }
    });
    let mut judged = judged.into_inner().unwrap_or_else(PoisonError::into_inner);
    judged.sort_by_key(|(place, _)| *place);
    judged.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_keep_the_order_and_the_output() {
        let jobs = ["echo 1; echo warned >&2", "echo 2; exit 3"].map(|script| Job::new("sh").arg("-c").arg(script));
        let answers = run(jobs.into(), |done| (done.output.clone(), done.end.is_ok()));
        assert_eq!(
            answers,
            [
                ("$ sh -c echo 1; echo warned >&2\n1\nwarned\n".to_owned(), true),
                ("$ sh -c echo 2; exit 3\n2\n".to_owned(), false)
            ]
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_said() {
        let answers = run(vec![Job::new("/no/such/program")], |done| done.end.as_ref().unwrap_err().to_string());
        assert_eq!(answers, ["program"]);
    }
}
