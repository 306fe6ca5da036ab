//! Explanation of a refused SA: which algorithm or protocol the kernel lacks, and the module that provides it.

use libpfkey::algorithm::CryptoApi;
use libpfkey::{Dialect, Error};
use racoon_proto::kernel::{KernelError, SaInstallation, SaTransform};
use racoon_proto::num::Protocol;

use super::algorithm::{auth_of, compress_of, encrypt_of};
use super::{Target, failed};

/// An algorithm of an SA: its name in setkey(8), the Linux module that implements it, and the word for its kind in the
/// kernel's own explanation.
struct Algorithm {
    name: &'static str,
    module: Option<&'static str>,
    kind: &'static str,
}

/// Returns the error of a refused ADD or UPDATE, naming the algorithms. `explanation` is the kernel's own explanation.
pub(super) fn install_error(
    target: Target,
    what: &str,
    installation: &SaInstallation,
    error: &Error,
    explanation: Option<&str>,
) -> KernelError {
    if !matches!(error, Error::Kernel(_) | Error::System { .. }) {
        return failed(what, error, explanation);
    }
    let algorithm_list = algorithm_list(&installation.transform);
    let failed = failed(&format!("{what} ({})", algorithms(&installation.transform)), error, explanation);
    KernelError { missing: missing(target, installation, &algorithm_list, error, explanation), ..failed }
}

/// Returns the names of an SA's algorithms.
pub(super) fn algorithms(transform: &SaTransform) -> String {
    algorithm_list(transform).iter().map(|algorithm| algorithm.name).collect::<Vec<_>>().join(", ")
}

/// Returns what the kernel lacks, judging by its errno.
fn missing(
    target: Target,
    installation: &SaInstallation,
    algorithm_list: &[Algorithm],
    error: &Error,
    explanation: Option<&str>,
) -> Option<String> {
    // Only Linux has its algorithms in modules, and an errno of their own for a missing one.
    if target.abi.dialect != Dialect::Linux {
        return None;
    }
    match error {
        Error::Kernel(libc::EPROTONOSUPPORT) => Some(protocol(installation)),
        // An algorithm that was there at startup can be gone too. ENOENT: a template of the crypto API is missing.
        Error::Kernel(libc::ENOSYS | libc::ENOENT) => {
            let is_named =
                |algorithm: &&Algorithm| explanation.is_some_and(|explanation| explanation.contains(algorithm.kind));
            let named = algorithm_list.iter().filter(is_named).collect::<Vec<_>>();
            let suspects = if named.is_empty() { algorithm_list.iter().collect() } else { named };
            Some(
                suspects
                    .iter()
                    .map(|algorithm| with_module(algorithm.name, algorithm.module))
                    .collect::<Vec<_>>()
                    .join(" or no "),
            )
        }
        _ => None,
    }
}

/// Returns a name with the module that may be missing.
pub(super) fn with_module(name: &str, module: Option<&str>) -> String {
    module.map_or_else(|| name.to_owned(), |module| format!("{name} (module {module}?)"))
}

fn protocol(installation: &SaInstallation) -> String {
    let ipv4 = installation.name.source.is_ipv4();
    let (name, module) = match (installation.name.protocol, ipv4) {
        (Protocol::AH, true) => ("AH over IPv4", "ah4"),
        (Protocol::AH, false) => ("AH over IPv6", "ah6"),
        (Protocol::IPCOMP, true) => ("IPComp over IPv4", "ipcomp"),
        (Protocol::IPCOMP, false) => ("IPComp over IPv6", "ipcomp6"),
        (_, true) => ("ESP over IPv4", "esp4"),
        (_, false) => ("ESP over IPv6", "esp6"),
    };
    with_module(name, Some(module))
}

fn algorithm_list(transform: &SaTransform) -> Vec<Algorithm> {
    let auth = |algorithm| {
        let auth = auth_of(algorithm)?;
        Some(Algorithm { name: auth.name()?, module: module_of(auth.crypto_api()), kind: "AUTH" })
    };
    match transform {
        SaTransform::Esp { encryption: (cipher, _), authentication } => {
            let encrypt = encrypt_of(*cipher).and_then(|encrypt| {
                let kind = if encrypt.is_aead() { "AEAD" } else { "CRYPT" };
                Some(Algorithm { name: encrypt.name()?, module: module_of(encrypt.crypto_api()), kind })
            });
            let authentication = authentication.as_ref().and_then(|(wanted, _)| auth(wanted.algorithm));
            encrypt.into_iter().chain(authentication).collect()
        }
        SaTransform::Ah { authentication: (wanted, _) } => auth(wanted.algorithm).into_iter().collect(),
        SaTransform::Ipcomp(transform) => compress_of(*transform)
            .and_then(|compress| {
                Some(Algorithm { name: compress.name()?, module: module_of(compress.crypto_api()), kind: "COMP" })
            })
            .into_iter()
            .collect(),
    }
}

/// Returns the Linux module of an algorithm; `None` if Linux has no such algorithm.
pub(super) fn module_of(api: Option<&CryptoApi>) -> Option<&'static str> {
    api.and_then(|api| api.module)
}

#[cfg(test)]
mod tests {
    use racoon_proto::num::{AuthAlgorithm, EspTransform};

    use super::super::tests::{esp, inbound, pf_key, xfrm};
    use super::*;

    fn text(target: Target, errno: i32, explanation: Option<&str>) -> String {
        let transform = esp((EspTransform::CAMELLIA, 16), Some((AuthAlgorithm::HMAC_SHA512.into(), 64)));
        let installation = inbound(0x1001, transform);
        let what = format!("UPDATE {}", installation.name);
        install_error(target, &what, &installation, &Error::Kernel(errno), explanation).to_string()
    }

    #[test]
    fn missing_algorithm_and_module() {
        let request = "UPDATE esp 10.0.0.2->10.0.0.1 spi=4097(0x1001) (camellia-cbc, hmac-sha512)";
        for (explanation, missing) in [
            (Some("Requested CRYPT algorithm not found"), "camellia-cbc (module camellia_generic?)"),
            (Some("Requested AUTH algorithm not found"), "hmac-sha512 (module sha512_generic?)"),
        ] {
            let expected =
                format!("kernel has no {missing}: {request}: Function not implemented: {}", explanation.unwrap());
            assert_eq!(text(xfrm(), libc::ENOSYS, explanation), expected);
        }
        let expected = format!(
            "kernel has no camellia-cbc (module camellia_generic?) or no hmac-sha512 (module sha512_generic?): {request}: \
             Function not implemented"
        );
        assert_eq!(text(pf_key(Dialect::Linux), libc::ENOSYS, None), expected);
        let expected = format!("kernel has no ESP over IPv4 (module esp4?): {request}: Protocol not supported");
        assert_eq!(text(pf_key(Dialect::Linux), libc::EPROTONOSUPPORT, None), expected);
    }

    #[test]
    fn other_errors_name_the_algorithms() {
        let request = "UPDATE esp 10.0.0.2->10.0.0.1 spi=4097(0x1001) (camellia-cbc, hmac-sha512)";
        let expected = format!("{request}: Invalid argument: Invalid key length");
        assert_eq!(text(xfrm(), libc::EINVAL, Some("Invalid key length")), expected);
        assert_eq!(text(pf_key(Dialect::FreeBsd), libc::EINVAL, None), format!("{request}: Invalid argument"));
    }
}
