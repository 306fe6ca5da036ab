//! What the builder refuses, and how it says so.

use super::*;
use crate::num::SaType;
use crate::policy::Level;

#[test]
fn policies_that_cannot_be() {
    let selector = Selector::hosts("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let refused = |builder: PolicyBuilder| builder.build().unwrap_err().to_string();
    let mut tunnel = Template::transport(SaType::Esp, Level::Require);
    tunnel.mode = crate::sa::Mode::Tunnel;
    assert_eq!(
        refused(PolicySpec::ipsec(selector, Direction::Out).template(tunnel)),
        "a tunnel template needs the addresses of both tunnel ends"
    );
    let transport = Template::transport(SaType::Esp, Level::Require);
    assert_eq!(
        refused(PolicySpec::discard(selector, Direction::Out).template(transport)),
        "only ipsec policies have templates"
    );
}
