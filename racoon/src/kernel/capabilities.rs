//! Comparison of a configuration with what the kernel supports.

use libpfkey::algorithm::{self as pf_key, Encryption, Supported};
use libpfkey::{Dialect, ExtensionType};
use racoon_proto::config::{Authentication, Esn, Sainfo};
use racoon_proto::kernel::KernelError;
use racoon_proto::num::{AuthAlgorithm, EspTransform};

use super::algorithm::{Icv, auth_number, auth_of, encrypt_number, encrypt_of, icv};
use super::install_error::module_of;
use super::{Target, refused};

/// Algorithms and features of the kernel, as its REGISTER replies list them.
#[derive(Clone, Debug)]
pub struct Capabilities {
    target: Target,
    supported: Supported,
}

impl Capabilities {
    pub(super) fn new(target: Target, supported: Supported) -> Self {
        Self { target, supported }
    }

    /// Returns an error text, without the place in the file, for each algorithm and feature of a sainfo that the kernel
    /// lacks. Compression is not checked: no kernel lists it.
    pub fn missing(&self, sainfo: &Sainfo) -> Vec<String> {
        let mut lines = Vec::new();
        let mut note = |checked: Result<(), KernelError>| lines.extend(checked.err().map(|error| error.to_string()));
        for encryption in &sainfo.encryption {
            note(self.check_encryption(encryption.transform));
        }
        for authentication in &sainfo.authentication {
            note(self.check_authentication(*authentication));
        }
        note(self.check_esn(sainfo.esn));
        lines
    }

    /// Whether HMAC-SHA-256 always has a 96-bit ICV, whatever was negotiated. Peers that follow RFC 4868 drop such
    /// packets.
    pub fn truncates_sha256(&self) -> bool {
        icv(self.target, AuthAlgorithm::HMAC_SHA256.into()) == Icv::Truncated
    }

    /// Returns the name of the kernel parameter that limits the lifetime of a reserved SPI.
    pub fn larval_limit(&self) -> &'static str {
        match self.target.abi.dialect {
            Dialect::Linux => "net.core.xfrm_acq_expires",
            Dialect::FreeBsd | Dialect::NetBsd | Dialect::Darwin => "net.key.larval_lifetime",
        }
    }

    fn check_encryption(&self, transform: EspTransform) -> Result<(), KernelError> {
        let number = encrypt_number(self.target, transform)?;
        let module = module_of(encrypt_of(transform).and_then(Encryption::crypto_api));
        self.check(ExtensionType::SupportedEncrypt, number, &transform, module)
    }

    fn check_authentication(&self, authentication: Authentication) -> Result<(), KernelError> {
        // Kernels list only what they compute.
        if authentication.algorithm == AuthAlgorithm::NONE {
            return Ok(());
        }
        let number = auth_number(self.target, authentication.algorithm)?;
        let module = module_of(auth_of(authentication.algorithm).and_then(pf_key::Authentication::crypto_api));
        self.check(ExtensionType::SupportedAuth, number, &authentication.algorithm, module)?;
        if icv(self.target, authentication) == Icv::Unsupported {
            return Err(refused(format!("the kernel has no {} with an ICV of 96 bits", authentication.algorithm)));
        }
        Ok(())
    }

    fn check(
        &self,
        list: ExtensionType,
        number: u8,
        name: &dyn std::fmt::Display,
        module: Option<&str>,
    ) -> Result<(), KernelError> {
        if self.supported.algorithm(list, number).is_ok() {
            return Ok(());
        }
        let hint = match module.filter(|_| self.target.abi.dialect == Dialect::Linux) {
            Some(module) => format!("module {module}?"),
            None => String::from("missing module?"),
        };
        Err(refused(format!("algorithm {name} not supported by the kernel ({hint})")))
    }

    fn check_esn(&self, esn: Esn) -> Result<(), KernelError> {
        let dialect = self.target.abi.dialect;
        let has = self.target.has_xfrm || matches!(dialect, Dialect::FreeBsd | Dialect::Darwin);
        if esn == Esn::Off || has {
            return Ok(());
        }
        Err(refused(format!("a PF_KEY message of {dialect} has no place for extended sequence numbers")))
    }
}
