//! Lists of which entries get lost.

use libpfkey::Dialect;

use super::Kernel;
use crate::session::Entries;

const FOUR: &str = "add 10.0.0.1 10.0.0.2 esp 0x1001 -E null;
add 10.0.0.1 10.0.0.2 esp 0x1002 -E null;
add 10.0.0.1 10.0.0.2 esp 0x1003 -E null;
add 10.0.0.1 10.0.0.2 esp 0x1004 -E null;
spdadd 10.0.0.1 10.0.0.2 any -P out none;
spdadd 10.0.0.1 10.0.0.3 any -P out none;
spdadd 10.0.0.1 10.0.0.4 any -P out none;
spdadd 10.0.0.1 10.0.0.5 any -P out none;
";

/// Losses that show in the numbers. On the BSDs, which count down, that of the first entry does not.
const SHOWN: [(Dialect, usize); 5] =
    [(Dialect::Linux, 0), (Dialect::Linux, 1), (Dialect::FreeBsd, 1), (Dialect::NetBsd, 1), (Dialect::Darwin, 1)];

/// Returns a kernel that loses the entry with this index from the next lists.
fn losing(dialect: Dialect, index: usize, lists: usize) -> Kernel {
    let mut kernel = Kernel::new(dialect);
    kernel.run(FOUR);
    let mut watch = kernel.watch.lock().unwrap();
    watch.loses_entry = Some((index, lists));
    watch.lists = 0;
    drop(watch);
    kernel
}

#[test]
fn a_list_with_a_gap_is_read_again() {
    for (dialect, index) in SHOWN {
        for what in [Entries::Sas, Entries::Policies] {
            let mut kernel = losing(dialect, index, 3);
            assert_eq!(kernel.session.entries(what).map(|entries| entries.len()), Ok(4), "{dialect}: {what:?}");
            assert_eq!(kernel.watch.lock().unwrap().lists, 4, "{dialect}: {what:?}");
        }
    }
}

#[test]
fn nothing_is_replaced_by_a_list_with_a_gap() {
    for (dialect, index) in SHOWN {
        let mut kernel = losing(dialect, index, usize::MAX);
        let (loaded, _) = kernel.load(&["flush; spdflush;"]);
        assert_eq!(
            loaded,
            Err("the SAD cannot be listed: entries were lost; nothing was changed".to_owned()),
            "{dialect}"
        );
        assert_eq!(kernel.changes(), [], "{dialect}");
    }
}
