//! What is shown of messages that go to the kernel and come from it.

use std::time::{SystemTime, UNIX_EPOCH};

use libpfkey::wire::peek_header;
use libpfkey::{Abi, Answer, Message, MessageType, SaState, dump, errno_text};
use zeroize::Zeroizing;

use crate::console::Console;
use crate::reason::refusal_text;

/// What the command line says about output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// `-a`: dead SAs, too.
    pub(crate) dead: bool,
    /// `-H`: what is sent, in hex.
    pub(crate) hex: bool,
    /// `-N`: no policies of sockets, and their number at the end.
    pub(crate) hide_socket_policies: bool,
    /// `-p`: ports.
    pub(crate) ports: bool,
    /// `-l`: one line for each SA.
    pub(crate) short: bool,
    /// `-v`: every message field by field.
    pub(crate) verbose: bool,
}

/// Prints messages.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) console: Console,
    style: Style,
    /// Text under construction. It holds keys.
    text: Zeroizing<String>,
    /// Policies of sockets not shown in this dump.
    hidden: u32,
    /// It has been said that the kernel ignores priorities.
    warned_of_priority: bool,
    /// The time of the answers to this request, once one of them shows it.
    now: Option<i64>,
    /// The kernel is reached by NETLINK_XFRM.
    pub(crate) netlink: bool,
}

/// What an answer is matched with: a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Line of its end.
    pub(crate) line: u32,
    /// The priority that a policy was added with.
    pub(crate) priority: Option<u32>,
    /// The number of the step of a plan.
    pub(crate) step: usize,
}

impl View {
    pub(crate) fn new(console: Console, style: Style) -> Self {
        let text = Zeroizing::default();
        Self { console, style, text, hidden: 0, warned_of_priority: false, now: None, netlink: false }
    }

    /// Shows a request, if it is to be shown.
    pub(crate) fn request(&mut self, abi: Abi, bytes: &[u8]) {
        self.text.clear();
        self.structure(abi, bytes);
        if self.style.hex {
            dump::hex_lines(&mut self.text, bytes);
        }
        self.show();
    }

    /// Shows an answer.
    pub(crate) fn answer(&mut self, abi: Abi, tag: Tag, answer: Answer<'_>) {
        match answer {
            Answer::Reply(bytes) => self.reply(abi, tag, bytes),
            Answer::Confirmed => {}
            Answer::Errno(errno, message_type, refusal) => {
                self.text.clear();
                self.structure(abi, refusal.reply);
                self.show();
                let text = match self.explains() {
                    true => refusal_text(abi, self.netlink, errno, message_type, &refusal),
                    false => errno_words(errno, message_type),
                };
                self.console.kernel(tag.line, &text);
            }
            Answer::Lost(error) => self.console.kernel(tag.line, &error.to_string()),
        }
    }

    /// Whether refusals are told with their reason. Over PF_KEY, programs that read the messages see what they always saw, and so
    /// do those that read the standard output of `-c`.
    fn explains(&self) -> bool {
        self.console.explains() || (self.netlink && self.console.is_script())
    }

    /// Shows a message as an answer is shown. Only dumps and single entries have something to show without `-v`.
    pub(crate) fn reply(&mut self, abi: Abi, tag: Tag, bytes: &[u8]) {
        self.text.clear();
        self.structure(abi, bytes);
        match Message::parse(abi, bytes) {
            // Linux gets the length of some policies wrong; what was asked for was done all the same.
            Err(_) if has_wrong_length(abi, bytes) => self.console.system("invalid keymsg length"),
            Err(error) => {
                self.text.push_str(&error.to_string());
                self.text.push('\n');
            }
            Ok(message) => self.entry(&message, tag),
        }
        self.show();
    }

    fn entry(&mut self, message: &Message<'_>, tag: Tag) {
        let options = dump::Options { ports: self.style.ports, now: *self.now.get_or_insert_with(now) };
        match message.header.message_type {
            MessageType::Get | MessageType::Dump => {
                let dead = message.sa().is_some_and(|sa| sa.state == SaState::Dead);
                if dead && !self.style.dead && message.header.message_type == MessageType::Dump {
                    return;
                }
                if self.style.short {
                    dump::short_entry(&mut self.text, message, &options);
                } else {
                    dump::sa_entry(&mut self.text, message, &options);
                }
            }
            MessageType::SpdDump | MessageType::SpdGet => self.policy(message, &options),
            MessageType::SpdAdd => self.check_priority(message, tag),
            _ => {}
        }
    }

    fn policy(&mut self, message: &Message<'_>, options: &dump::Options) {
        if message.header.seq == 1 {
            self.hidden = 0;
        }
        if self.style.hide_socket_policies && dump::is_socket_policy(message) {
            self.hidden = self.hidden.saturating_add(1);
        } else {
            dump::policy_entry(&mut self.text, message, options);
        }
        if message.header.seq == 0 && self.hidden > 0 {
            let noun = if self.hidden == 1 { "policy" } else { "policies" };
            self.text.push_str(&format!("{} per-socket {noun} not shown (filtered by -N)\n", self.hidden));
        }
    }

    fn check_priority(&mut self, message: &Message<'_>, tag: Tag) {
        let Some(wanted) = tag.priority.filter(|priority| *priority != 0) else { return };
        let kept = message.policy().is_some_and(|policy| policy.priority == wanted);
        if !kept && !self.warned_of_priority {
            self.warned_of_priority = true;
            self.text.push_str("WARNING: Kernel does not support policy priorities\n");
        }
    }

    /// A message field by field, if that is to be shown.
    fn structure(&mut self, abi: Abi, bytes: &[u8]) {
        if self.style.verbose && !bytes.is_empty() {
            dump::structure(&mut self.text, abi, bytes);
            self.text.push('\n');
        }
    }

    fn show(&mut self) {
        if !self.text.is_empty() {
            self.console.print(&self.text);
        }
    }
}

/// The text of an errno. An SAD or SPD without entries is no such file to the kernel.
pub(crate) fn errno_words(errno: i32, message_type: MessageType) -> String {
    match message_type {
        MessageType::Delete | MessageType::Get | MessageType::SpdDelete if errno == libc::ENOENT => "No entry".into(),
        MessageType::Dump if errno == libc::ENOENT => "No SAD entries".into(),
        MessageType::SpdDump if errno == libc::ENOENT => "No SPD entries".into(),
        _ => errno_text(errno),
    }
}

fn has_wrong_length(abi: Abi, bytes: &[u8]) -> bool {
    peek_header(abi, bytes).is_ok_and(|header| usize::from(header.words) * 8 != bytes.len())
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use libpfkey::{Builder, Header, SaType};

    use super::*;

    /// Standard error that a test reads.
    #[derive(Clone, Default)]
    struct Errors(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Errors {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Errors {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// Linux announces a wrong length for some policies that other programs load over PF_KEY.
    #[test]
    fn a_message_of_wrong_length_is_named() {
        let errors = Errors::default();
        let mut view = View::new(Console::heard_by(errors.clone()), Style::default());
        let mut bytes = Vec::new();
        let header = Header::new(MessageType::SpdDump, SaType::Unspec);
        Builder::new(Abi::HOST, header, &mut bytes).unwrap().finish().unwrap();
        bytes.extend([0; 24]);
        view.answer(Abi::HOST, Tag::default(), Answer::Reply(&bytes));
        assert_eq!(errors.text(), "setkey: invalid keymsg length\n");
    }
}
