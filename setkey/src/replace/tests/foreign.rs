//! The SAs and policies of racoon stay.

use libpfkey::Dialect;
use libpfkey::kernel_state::StateFile;

use super::Kernel;

const RACOONS: &str = "
    add 10.0.0.1 10.0.0.2 esp 0x1001 -m tunnel -u 7 -E null;
    spdadd 10.1.0.0/16 10.2.0.0/16 any -P out ipsec esp/tunnel/10.0.0.1-10.0.0.2/unique:7;\n";
const OTHERS: &str = "
    add 10.0.0.2 10.0.0.1 esp 0x1002 -m tunnel -u 7 -E null;
    spdadd 10.2.0.0/16 10.1.0.0/16 any -P in ipsec esp/tunnel/10.0.0.2-10.0.0.1/unique:7;
    spdadd 10.2.0.0/16 10.9.0.0/16 any -P in discard;\n";

/// The list of racoon. It contains the `in` policy with level require, which an administrator has replaced.
fn list(dialect: Dialect, policy: u32) -> String {
    let priority = dialect.default_priority();
    let time = 1_764_444_444;
    format!(
        "racoon-kernel-state 1 boot=a namespace=1
policy request out 10.1.0.0/16 10.2.0.0/16 any 0 0 {priority} {time} protect esp,tunnel,unique,7,10.0.0.1,10.0.0.2
policy present out 10.1.0.0/16 10.2.0.0/16 any 0 0 {policy} {time}
policy request in 10.2.0.0/16 10.1.0.0/16 any 0 0 {priority} {time} protect esp,tunnel,require,0,10.0.0.2,10.0.0.1
sa request esp 10.0.0.1 10.0.0.2 0x00001001 tunnel 7 {time}
sa present esp 10.0.0.1 10.0.0.2 0x00001001 {time}
sa request esp 10.0.0.2 10.0.0.1 0x00001002 tunnel 8 {time}
"
    )
}

#[test]
fn entries_listed_by_racoon_stay() {
    for dialect in [Dialect::Linux, Dialect::FreeBsd, Dialect::NetBsd] {
        let mut kernel = Kernel::new(dialect);
        kernel.run(&format!("{RACOONS}{OTHERS}"));
        let present = kernel.present();
        let racoons = present.policies.iter().find(|policy| policy.name.direction == 2).unwrap();
        let id = libpfkey::Message::parse(kernel.session.abi(), &racoons.message).unwrap().policy().unwrap().id;
        let file = StateFile::parse(list(dialect, id).as_bytes()).unwrap();
        assert_eq!(
            (file.state.sas.len(), file.state.policies.len(), file.skipped_lines),
            (2, 2, 0),
            "{:?}",
            file.skipped
        );
        kernel.racoon = file.state;
        kernel.replace("flush; spdflush;");
        let (sas, policies) = kernel.state();
        let directions: Vec<u8> = policies.iter().map(|(name, _)| name.direction).collect();
        assert_eq!((sas.len(), directions), (1, vec![2]), "{dialect}: {sas:?}");
        // Entries that a file names are replaced.
        kernel.replace(&format!("flush; spdflush; {RACOONS}"));
        assert_eq!(kernel.changes().len(), 3, "only what went before");
        kernel.racoon = Default::default();
        kernel.replace("flush; spdflush;");
        assert_eq!(kernel.state(), (vec![], vec![]));
    }
}
