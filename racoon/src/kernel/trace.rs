//! One-line descriptions of kernel requests, for the log at level debug. They contain no keys.

use racoon_proto::kernel::{
    KernelRequest, Lifetime, Mode, Policy, PolicyAction, SaInstallation, Selector, Template, Way,
};

use super::install_error::algorithms;

/// Describes a request.
pub(super) fn describe(request: &KernelRequest) -> String {
    match request {
        KernelRequest::AllocateSpi(spi) => {
            let (protocol, source, destination) = (spi.protocol, spi.source, spi.destination);
            format!("kernel: reserve an SPI for {protocol} {source}->{destination}, {}", mode(spi.mode, spi.reqid))
        }
        KernelRequest::Install(installation) => install(installation),
        KernelRequest::Delete(name) => format!("kernel: delete {name}"),
        KernelRequest::AcquireFailed(acquire) => {
            let (protocol, source, destination) = (acquire.protocol, acquire.source, acquire.destination);
            format!("kernel: the acquire for {protocol} {source}->{destination} (seq {}) failed", acquire.seq)
        }
        KernelRequest::AddPolicy(_, granted) => add_policy(granted.policy()),
        KernelRequest::DeletePolicy(name) => {
            format!("kernel: delete policy {} {} (index {})", name.direction, selector(&name.selector), name.index)
        }
    }
}

fn install(sa: &SaInstallation) -> String {
    let way = match sa.way {
        Way::Inbound => "inbound",
        Way::Outbound => "outbound",
    };
    let (algorithms, mode) = (algorithms(&sa.transform), mode(sa.mode, sa.reqid));
    let (soft, hard) = (limit(sa.soft), limit(sa.hard));
    let udp = sa.udp.map(|ports| format!(", in UDP {}->{}", ports.source, ports.destination)).unwrap_or_default();
    let esn = if sa.esn { ", ESN" } else { "" };
    let window = sa.replay_window;
    format!(
        "kernel: install {way} {}, {mode}, {algorithms}, soft {soft}, hard {hard}, window {window}{esn}{udp}",
        sa.name
    )
}

fn add_policy(policy: &Policy) -> String {
    let action = match &policy.action {
        PolicyAction::Discard => String::from("discard"),
        PolicyAction::Pass => String::from("none"),
        PolicyAction::Protect(templates) => templates.iter().map(step).collect::<Vec<_>>().join(" "),
    };
    format!("kernel: add policy {} {}: {action}", policy.direction, selector(&policy.selector))
}

fn step(template: &Template) -> String {
    let ends = template.endpoints.map(|(source, destination)| format!(" {source}-{destination}")).unwrap_or_default();
    format!("{} {}{ends}", template.protocol, mode(template.mode, template.reqid))
}

fn mode(mode: Mode, reqid: u32) -> String {
    let mode = match mode {
        Mode::Transport => "transport",
        Mode::Tunnel => "tunnel",
    };
    if reqid == 0 { mode.to_owned() } else { format!("{mode} reqid {reqid}") }
}

fn limit(limit: Lifetime) -> String {
    let kilobytes = limit.kilobytes.map(|kilobytes| format!(" {kilobytes} KB")).unwrap_or_default();
    format!("{} s{kilobytes}", limit.seconds)
}

fn selector(selector: &Selector) -> String {
    let Selector { source, destination, protocol, source_port, destination_port } = selector;
    format!("{source}[{source_port}] {destination}[{destination_port}] proto {protocol}")
}

#[cfg(test)]
mod tests {
    use racoon_proto::kernel::{SaName, UdpPorts};
    use racoon_proto::num::Protocol;

    use super::super::tests::{aes_sha1, inbound, ip};
    use super::*;

    #[test]
    fn sa_without_keys() {
        let udp = Some(UdpPorts { source: 4500, destination: 4500 });
        let sa = SaInstallation { reqid: 7, esn: true, udp, ..inbound(0x1001, aes_sha1()) };
        let window = sa.replay_window;
        let expected = format!(
            "kernel: install inbound esp 10.0.0.2->10.0.0.1 spi=4097(0x1001), transport reqid 7, aes-cbc, hmac-sha1, \
             soft 80 s 8 KB, hard 100 s 10 KB, window {window}, ESN, in UDP 4500->4500"
        );
        assert_eq!(describe(&KernelRequest::Install(Box::new(sa))), expected);
    }

    #[test]
    fn deletion() {
        let (source, destination) = (ip("10.0.0.2"), ip("10.0.0.1"));
        let name = SaName { protocol: Protocol::AH, source, destination, spi: 256 };
        let expected = "kernel: delete ah 10.0.0.2->10.0.0.1 spi=256(0x100)";
        assert_eq!(describe(&KernelRequest::Delete(name)), expected);
    }
}
