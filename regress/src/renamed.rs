//! Former names of steps and commands.

/// The former name, and the one in use.
const RENAMED: &[(&str, &str)] = &[
    ("door", "kernel-interface"),
    ("twins", "backend-parity"),
    ("rows", "matrix"),
    ("scenes", "scenarios"),
    ("story", "run-demo"),
];

/// Returns the name in use of a step or command. For a former name it also says on standard error which name that is.
pub(crate) fn current(name: &str) -> &str {
    let Some((old, new)) = RENAMED.iter().find(|(old, _)| *old == name) else { return name };
    eprintln!("regress: `{old}` is now called `{new}`");
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn former_names_are_translated() {
        assert_eq!(current("door"), "kernel-interface");
        assert_eq!(current("kernel-interface"), "kernel-interface");
        assert_eq!(current("no-such-step"), "no-such-step");
    }
}
