//! Requests about policies.

use std::collections::HashSet;

use libpfkey::{Dialect, Error, MessageType, Request};
use racoon_proto::kernel::{KernelError, KernelEvent, Policy, PolicyAction, PolicyName, Selector, TemplateLevel};

use super::{KernelInterface, LogRecord, failed, is_missing_policy, policy, refused};

impl KernelInterface {
    /// Adds a policy with SPDADD, which every kernel refuses if one with the same selector and direction exists. Returns
    /// the policy with its index and the reqid that the kernel chose, or `None` if the kernel has no policies of this
    /// direction.
    pub(super) fn request_policy(&mut self, policy: &Policy) -> Result<Option<Policy>, KernelError> {
        let Some(spec) = policy::to_spec(self.target(), policy)? else { return Ok(None) };
        let listed = self.record_policy_request(policy);
        let added = self.requests.transact(&Request::PolicyAdd(Box::new(spec)), policy::from_message);
        let Selector { source, destination, .. } = policy.selector;
        let what = || format!("{} {source}->{destination}", MessageType::SpdAdd.what());
        match added {
            Ok(Ok(Some(added))) if added.index != 0 => {
                if self.requests.abi().dialect != Dialect::Linux {
                    self.policy_names.insert(added.index, added.name());
                }
                self.record_policy_present(&added);
                Ok(Some(self.with_reqids(added)))
            }
            Ok(_) => Err(refused(format!("{}: the reply does not name the policy, which stays", what()))),
            Err(error) => {
                if matches!(error, Error::Timeout) {
                    // Unlike an SA it cannot be deleted on suspicion: what is there may be another program's policy.
                    let text = format!("{}: no reply; if a {} policy is left, delete it", what(), policy.direction);
                    (self.log)(LogRecord::Warning(text));
                } else {
                    self.record_policy_refused(policy, listed);
                }
                Err(failed(&what(), &error, self.requests.explanation()))
            }
        }
    }

    /// Deletes a policy with SPDDELETE2, by its index, because another program may have put its own policy under the same
    /// selector. The kernel's policy is compared first: Linux hands out the first index of a network namespace twice, and
    /// keeps the index when another program replaces a policy.
    pub(super) fn delete_policy(&mut self, name: &PolicyName) {
        let current = self.requests.transact(&Request::PolicyGet(name.index), policy::from_message);
        let Selector { source, destination, .. } = name.selector;
        if let Ok(Ok(Some(current))) = current
            && !self.is_ours(&current, name)
        {
            (self.log)(LogRecord::Debug(format!("the {} policy {source}->{destination} is gone", name.direction)));
            return self.record_policy_gone(name.direction, &name.selector);
        }
        let deleted = self.requests.transact(&Request::PolicyDeleteIndex(name.index), |_| ());
        if deleted.as_ref().err().is_none_or(is_missing_policy) {
            self.record_policy_gone(name.direction, &name.selector);
        }
        if let Err(error) = deleted {
            (self.log)(LogRecord::Debug(format!("SPDDELETE2 {source}->{destination}: {error}")));
        }
    }

    /// Returns a policy with the reqids that the kernel chose. NetBSD leaves them out of its broadcasts and replies; only
    /// SPDGET shows them.
    pub(super) fn with_reqids(&mut self, policy: Policy) -> Policy {
        let PolicyAction::Protect(templates) = &policy.action else { return policy };
        if policy.index == 0 || !templates.iter().any(|one| one.level == TemplateLevel::Unique && one.reqid == 0) {
            return policy;
        }
        match self.requests.transact(&Request::PolicyGet(policy.index), policy::from_message) {
            Ok(Ok(Some(complete))) => complete,
            _ => policy,
        }
    }

    /// Reads the whole SPD.
    pub(super) fn dump_policies(&mut self) -> libpfkey::Result<Vec<Policy>> {
        let empty = || (Vec::new(), None);
        let (policies, malformed) = self.requests.dump(
            &Request::PolicyDump,
            empty,
            |(policies, malformed), message| match policy::from_message(message) {
                Ok(policy) => policies.extend(policy),
                Err(what) => *malformed = Some(what),
            },
        )?;
        if let Some(what) = malformed {
            (self.log)(LogRecord::Warning(format!("ignoring a policy of the kernel: {what}")));
        }
        Ok(policies)
    }

    /// Reads the SPD again and reports it.
    pub(super) fn resync_policies(&mut self, on_event: &mut dyn FnMut(KernelEvent)) {
        match self.dump_policies() {
            Ok(policies) => {
                let present = policies.iter().map(|policy| policy.index).collect::<HashSet<_>>();
                // An index may be reused, so entries of vanished policies must not stay.
                self.policy_names.retain(|index, _| present.contains(index));
                on_event(KernelEvent::Policies(policies));
            }
            Err(error) => (self.log)(LogRecord::Warning(format!("cannot read the kernel's policies: {error}"))),
        }
    }
}
