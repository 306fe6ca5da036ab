//! Offsets of the parts of a statement, for errors found after parsing.

use super::ast::{Command, Range, Sa, Statement};
use super::token::{Token, skip_blanks, tokens};

impl<'s> Statement<'s> {
    /// Where the statement itself begins, behind blanks and comments.
    pub fn start(&self) -> usize {
        skip_blanks(self.source, 0)
    }

    /// Where the first of these options is, such as `-r`.
    pub fn option_offset(&self, options: &[&str]) -> Option<usize> {
        let is_option = |token: &Token<'_>| matches!(token, Token::Plain(text) if options.contains(text));
        tokens(self.source).find(|(_, token)| is_option(token)).map(|(offset, _)| offset)
    }

    /// Where the protocol of an SA is, if it is written.
    pub fn protocol_offset(&self, sa: &Sa<'_>) -> Option<usize> {
        sa.protocol?;
        self.behind_destination(sa).next().map(|(offset, _)| offset)
    }

    /// Where the SPI of an SA is.
    pub fn spi_offset(&self, sa: &Sa<'_>) -> Option<usize> {
        let words = usize::from(sa.protocol.is_some()) + usize::from(sa.original_address.is_some());
        self.behind_destination(sa).nth(words).map(|(offset, _)| offset)
    }

    /// Where the prefix length of a policy's source or destination is, if it is written.
    pub fn prefix_offset(&self, range: &Range<'_>) -> Option<usize> {
        range.prefix?;
        let mut behind = self.behind(range.host.offset);
        behind.find(|(_, token)| *token == Token::Plain("/"))?;
        behind.next().map(|(offset, _)| offset)
    }

    /// Where the step of a policy with this number is, counted from 0.
    pub fn step_offset(&self, number: usize) -> Option<usize> {
        let (Command::SpdAdd(spd) | Command::SpdDelete(spd) | Command::SpdUpdate(spd)) = &self.command else {
            return None;
        };
        let text = spd.policy_text.text;
        let begins_step = |at: usize| {
            let (before, rest) = text.split_at_checked(at)?;
            let behind = ["esp", "ah", "ipcomp"].iter().find_map(|protocol| rest.strip_prefix(protocol))?;
            let is_word = !before.ends_with(|c: char| c.is_ascii_alphanumeric() || ":._%/-".contains(c));
            (is_word && behind.trim_start().starts_with('/')).then_some(at)
        };
        let offset = (0..text.len()).filter_map(begins_step).nth(number)?;
        Some(spd.policy_text.offset + offset)
    }

    /// The tokens behind the destination of an SA and its port.
    fn behind_destination(&self, sa: &Sa<'_>) -> impl Iterator<Item = (usize, Token<'s>)> + use<'s> {
        let mut behind = self.behind(sa.destination.host.offset).peekable();
        if behind.peek().is_some_and(|(_, token)| *token == Token::Plain("[")) {
            // The port with its brackets.
            behind.by_ref().take(3).for_each(drop);
        }
        behind
    }

    /// The tokens behind the one at an offset.
    fn behind(&self, offset: usize) -> impl Iterator<Item = (usize, Token<'s>)> + use<'s> {
        let rest = self.source.get(offset..).unwrap_or_default();
        tokens(rest).map(move |(at, token)| (offset + at, token)).skip(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Selector, parse};
    use super::*;

    #[test]
    fn parts_of_an_sa() {
        for (source, protocol, spi) in [
            ("\n add a b esp 0x1001 -r 8 -E null;", Some("esp"), "0x1001"),
            ("add a [1] b [any] esp-udp 7 -E null;", Some("esp-udp"), "7"),
            ("add a[1] b[2] esp-udp c 7 -E null;", Some("esp-udp"), "7"),
            ("add 2001:db8::1 b # x\n 7 -E null;", None, "7"),
        ] {
            let statement = parse(source, 1).unwrap();
            let Command::Add(sa) = &statement.command else { panic!("{source}") };
            let at = |offset: Option<usize>| offset.map(|offset| Token::at(source, offset).source());
            assert_eq!(
                (at(statement.protocol_offset(sa)), at(statement.spi_offset(sa))),
                (protocol, Some(spi)),
                "{source}"
            );
            assert_eq!(Token::at(source, statement.start()).source(), "add");
        }
        let statement = parse("add a b esp 7 -u 5 -ls 6 -E null;", 1).unwrap();
        assert_eq!(statement.option_offset(&["-lh", "-ls"]), Some(19));
        assert_eq!(statement.option_offset(&["-r"]), None);
    }

    #[test]
    fn parts_of_a_policy() {
        let source =
            "spdadd 192.0.2.0 / 33[7] ::/129 tcp -P out ipsec esp / tunnel/192.0.2.1-192.0.2.2/use ah/transport;";
        let statement = parse(source, 1).unwrap();
        let Command::SpdAdd(spd) = &statement.command else { panic!() };
        let Selector::Ranges { source: from, destination: to, .. } = &spd.selector else { panic!() };
        assert_eq!(statement.prefix_offset(from), source.find("33"));
        assert_eq!(statement.prefix_offset(to), source.find("129"));
        assert_eq!(statement.step_offset(0), source.find("esp"));
        assert_eq!(statement.step_offset(1), source.find("ah/"));
        assert_eq!(statement.step_offset(2), None);
    }
}
