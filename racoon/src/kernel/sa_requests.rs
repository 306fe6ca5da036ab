//! Requests about SAs, and what has to be remembered of them: echoes of our own DELETEs, NAT-T ports, the backup file.

use libpfkey::request::{Encoding, RequestHeader};
use libpfkey::{Dialect, Error, Message, MessageType, Request};
use racoon_proto::kernel::{Acquire, KernelError, SaInstallation, SaName, SaTransform, SpiAllocation, UdpPorts};
use racoon_proto::num::Protocol;
use zeroize::Zeroizing;

use super::algorithm::Suite;
use super::install_error::install_error;
use super::quirk::Quirk;
use super::{KernelInterface, LogRecord, compose, failed, is_missing, sa_type_of};
use crate::backup::Backup;

/// Upper bound of remembered DELETE requests; an echo never lags behind by as many.
const ECHOES_MAX: usize = 65_536;

/// Initial capacity of an ADD or UPDATE message, enough for the longest keys.
const REQUEST_CAPACITY: usize = 1024;

/// SAs that have left the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Removed<'a> {
    /// One SA.
    One(&'a SaName),
    /// All SAs of a protocol, or of every protocol.
    All(Option<Protocol>),
}

impl KernelInterface {
    /// Saves every SA installed from now on in the backup file.
    pub fn set_backup(&mut self, backup: Backup) {
        self.backup = Some(backup);
    }

    /// Empties the backup file.
    pub fn clear_backup(&mut self) {
        if let Some(Err(error)) = self.backup.as_mut().map(Backup::clear) {
            (self.log)(LogRecord::Warning(error.to_string()));
        }
    }

    /// Reserves an SPI.
    pub(super) fn allocate(&mut self, allocation: &SpiAllocation) -> Result<u32, KernelError> {
        let SpiAllocation { protocol, source, destination, .. } = *allocation;
        let what = format!("GETSPI {protocol} {source}->{destination}");
        let request = compose::allocate_spi(self.requests.abi().dialect, allocation)?;
        let header = self.requests.request_header(allocation.acquire);
        let spi = self.requests.transact_with(header, &request, |message| message.sa().map(|sa| sa.spi));
        let spi = spi.and_then(|spi| spi.ok_or(Error::Timeout));
        let spi = spi.map_err(|error| failed(&what, &error, self.requests.explanation()))?;
        let name = SaName { protocol, source, destination, spi };
        // The kernel gave the SPI away again, so the SA that we deleted under this name is gone, echo or not. Otherwise
        // the next resync would delete the new one.
        self.expected_deletes.remove(&name);
        self.note_ports(name, allocation.udp);
        Ok(spi)
    }

    /// Installs an SA: UPDATE for a reserved SPI, ADD for one that the peer chose.
    pub(super) fn install(&mut self, installation: &SaInstallation) -> Result<(), KernelError> {
        let target = self.target();
        let suite = Suite::new(target, &installation.transform)?;
        for quirk in Quirk::all(target, installation, &suite) {
            if !self.logged_quirks.contains(&quirk) {
                self.logged_quirks.push(quirk);
                (self.log)(LogRecord::Warning(quirk.text().into()));
            }
        }
        let name = installation.name;
        let request = compose::install(target, installation, suite)?;
        let what = format!("{} {name}", request.message_type().what());
        let header = self.requests.request_header(installation.acquire);
        if self.expected_deletes.remove(&name) {
            self.stale_deletes.insert(name);
        }
        // Recorded before the request goes out: a crash in between must not leave an SA that nobody knows of.
        self.record_sa_request(installation);
        match self.requests.transact_with(header, &request, |_| ()) {
            Ok(()) => {
                self.record_sa_present(&name);
                self.note_ports(name, installation.udp);
                self.installed.insert(name);
                self.save_sa(installation, header, &request);
                Ok(())
            }
            Err(error) => {
                // Without a reply the SA may exist all the same, and the engine would never delete it.
                if matches!(error, Error::Timeout) {
                    self.delete(&name);
                } else {
                    self.record_sa_gone(&name);
                }
                Err(install_error(target, &what, installation, &error, self.requests.explanation()))
            }
        }
    }

    /// Deletes an SA. A failure is only logged: the next resync tries again.
    pub(super) fn delete(&mut self, name: &SaName) {
        let ports = self.natt_ports.remove(name);
        self.forget_sas(Removed::One(name));
        let id = match compose::sa_id(name, ports) {
            Ok(id) => id,
            Err(error) => return (self.log)(LogRecord::Debug(error.to_string())),
        };
        if self.expected_deletes.len() >= ECHOES_MAX {
            self.expected_deletes.clear();
            self.stale_deletes.clear();
        }
        self.expected_deletes.insert(*name);
        let deleted = self.requests.transact(&Request::Delete(id), |_| ());
        if deleted.as_ref().err().is_none_or(is_missing) {
            self.record_sa_gone(name);
        }
        let Err(error) = deleted else { return };
        // No SA of that name: the kernel broadcasts nothing, so there is no echo to wait for.
        if is_missing(&error) {
            self.expected_deletes.remove(name);
        }
        (self.log)(LogRecord::Debug(format!("{} {name}: {error}", MessageType::Delete.what())));
    }

    /// Tells the kernel that the negotiation for an acquire failed.
    pub(super) fn acquire_failed(&mut self, acquire: &Acquire) {
        let header = RequestHeader { seq: acquire.seq, ..self.requests.request_header(0) };
        let mut request = Vec::new();
        let sent = compose::acquire_failed(header, acquire.protocol, &mut request)
            .and_then(|()| self.requests.send(&request).map_err(|error| failed("ACQUIRE", &error, None)));
        if let Err(error) = sent {
            (self.log)(LogRecord::Debug(error.to_string()));
        }
    }

    /// Remembers the NAT-T ports of an SA where they are part of its name: NetBSD wants them in DELETE and GET.
    pub(super) fn note_ports(&mut self, name: SaName, ports: Option<UdpPorts>) {
        if let Some(ports) = ports.filter(|_| self.requests.abi().dialect == Dialect::NetBsd) {
            self.natt_ports.insert(name, ports);
        }
    }

    /// Writes an installed SA to the backup file.
    fn save_sa(&mut self, installation: &SaInstallation, header: RequestHeader, request: &Request) {
        let Some(backup) = &mut self.backup else { return };
        // Restored, it would start at counter 0 again under the same key.
        if has_counter_mode(&installation.transform) {
            return;
        }
        let encoding = Encoding { xfrm_extensions: self.requests.has_xfrm_extensions(), ..Encoding::default() };
        // A buffer that grows would leave copies of the keys behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(REQUEST_CAPACITY));
        let encoded = request.encode(header, encoding, &mut bytes);
        let message = encoded.and_then(|()| Message::parse(header.abi, &bytes)).map_err(|error| error.to_string());
        let saved =
            message.and_then(|message| backup.add(header.abi.dialect, &message).map_err(|error| error.to_string()));
        if let Err(error) = saved {
            (self.log)(LogRecord::Warning(format!("an SA is not saved: {error}")));
        }
    }

    /// Forgets SAs that have left the kernel, here and in the backup file.
    pub(super) fn forget_sas(&mut self, removed: Removed<'_>) {
        match removed {
            Removed::One(name) => drop(self.installed.remove(name)),
            Removed::All(None) => self.installed.clear(),
            Removed::All(Some(protocol)) => self.installed.retain(|name| name.protocol != protocol),
        }
        let Some(backup) = &mut self.backup else { return };
        let dialect = self.requests.abi().dialect;
        let number = |protocol| sa_type_of(protocol).and_then(|sa_type| sa_type.number(dialect));
        let forgotten = match removed {
            Removed::One(SaName { protocol, source, destination, spi }) => match number(*protocol) {
                Some(sa_type) => backup.forget(&(*source, *destination, sa_type, *spi)),
                None => Ok(()),
            },
            Removed::All(protocol) => backup.forget_all(protocol.and_then(number)),
        };
        if let Err(error) = forgotten {
            (self.log)(LogRecord::Warning(format!("backup file still lists deleted SAs: {error}")));
        }
    }
}

/// Whether the cipher of an SA is a counter mode, whose counters must never repeat under one key.
fn has_counter_mode(transform: &SaTransform) -> bool {
    match transform {
        SaTransform::Esp { encryption: (cipher, _), .. } => cipher.is_counter_mode(),
        SaTransform::Ah { .. } | SaTransform::Ipcomp(_) => false,
    }
}
