//! The parser of the policy language.

use std::net::IpAddr;

use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};
use pest::iterators::Pair;

use super::grammar::{Grammar, Rule};
use super::{
    Action, Direction, Endpoint, Endpoints, ErrorKind, Level, PRIORITY_DEFAULT, PRIORITY_HIGH, PRIORITY_LOW,
    PolicyError, PolicyText, Protocol, RequestText, hint,
};
use crate::sa::Mode;

/// The most requests that a policy may have. FreeBSD takes 4 and Linux 6; the others have no limit.
pub const MAX_REQUESTS: usize = 64;

/// Parses the text of a policy: what follows `-P` in setkey, or the argument of `ipsec_set_policy(3)`.
///
/// Requests after an action other than `ipsec` are checked for their syntax and dropped.
///
/// # Errors
/// The first error in the text; see [`ErrorKind`].
pub fn parse(text: &str) -> Result<PolicyText, PolicyError> {
    let pairs = Grammar::parse(Rule::policy, text).map_err(|error| syntax_error(text, &error))?;
    let mut policy = PolicyText { direction: Direction::In, priority: None, action: None, requests: Vec::new() };
    for pair in pairs {
        match pair.as_rule() {
            Rule::direction => policy.direction = keyword(&pair, direction)?,
            Rule::priority => policy.priority = Some(priority(pair)?),
            Rule::action => policy.action = Some(keyword(&pair, action)?),
            Rule::request => {
                // Reading the request consumes the pair, and errors in its meaning are found afterwards.
                let places = Places::of(&pair);
                let request = request(text, pair)?;
                // libipsec hands such requests on, but kernels ignore them.
                if policy.action != Some(Action::Ipsec) {
                    continue;
                }
                check(&request, policy.direction, places)?;
                // A script is foreign input: its policy must not grow without bound.
                if policy.requests.len() == MAX_REQUESTS {
                    return Err(error(ErrorKind::TooManyRequests, places.request));
                }
                policy.requests.push(request);
            }
            _ => {}
        }
    }
    Ok(policy)
}

fn error(kind: ErrorKind, offset: usize) -> PolicyError {
    PolicyError { kind, token: None, offset, hint: hint::for_kind(kind) }
}

fn syntax_error(text: &str, cause: &pest::error::Error<Rule>) -> PolicyError {
    let offset = match cause.location {
        InputLocation::Pos(offset) | InputLocation::Span((offset, _)) => offset,
    };
    let expected = match &cause.variant {
        ErrorVariant::ParsingError { positives, .. } => positives.as_slice(),
        ErrorVariant::CustomError { .. } => &[],
    };
    // After a protocol libipsec needs no look-ahead to see that the request is cut short, and so reports no token.
    if expected.iter().any(|rule| matches!(rule, Rule::mode_slash | Rule::mode)) {
        return PolicyError { hint: hint::for_mode(token_at(text, offset)), ..error(ErrorKind::FewArguments, offset) };
    }
    let token = token_at(text, offset);
    let hint = hint::for_token(text, offset, token, expected);
    // In `any-10.0.0.1` the parser stops at the address, but the word before it is the mistake.
    let offset = if hint::is_half_any(expected) { last_word(text, offset) } else { offset };
    PolicyError { kind: ErrorKind::Syntax, token: Some(token.to_owned()), offset, hint }
}

/// Returns the offset of the word before `offset`, without the `-` between them.
fn last_word(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or_default().trim_end().trim_end_matches('-').trim_end();
    before.trim_end_matches(|c: char| c.is_ascii_alphanumeric()).len()
}

/// Returns the token at `offset`; empty at the end of the text.
fn token_at(text: &str, offset: usize) -> &str {
    let rest = text.get(offset..).unwrap_or_default();
    Grammar::parse(Rule::token, rest).map_or("", |pairs| pairs.as_str())
}

/// Returns the offset of the first token at or after `offset`.
fn skip_blanks(text: &str, offset: usize) -> usize {
    let rest = text.get(offset..).unwrap_or_default();
    offset + Grammar::parse(Rule::blank, rest).map_or(0, |pairs| pairs.as_str().len())
}

/// Returns the value of a keyword. One that the grammar has and the table lacks is an error rather than a panic.
fn keyword<T>(pair: &Pair<'_, Rule>, value: fn(&str) -> Option<T>) -> Result<T, PolicyError> {
    value(pair.as_str()).ok_or_else(|| error(ErrorKind::Syntax, pair.as_span().start()))
}

fn direction(word: &str) -> Option<Direction> {
    Some(match word {
        "fwd" => Direction::Forward,
        "in" => Direction::In,
        "out" => Direction::Out,
        _ => return None,
    })
}

fn action(word: &str) -> Option<Action> {
    Some(match word {
        "bypass" => Action::Bypass,
        "discard" => Action::Discard,
        "entrust" => Action::Entrust,
        "ipsec" => Action::Ipsec,
        "none" => Action::None,
        _ => return None,
    })
}

fn protocol(word: &str) -> Option<Protocol> {
    Some(match word {
        "ah" => Protocol::Ah,
        "esp" => Protocol::Esp,
        "ipcomp" => Protocol::IpComp,
        _ => return None,
    })
}

fn mode(word: &str) -> Option<Mode> {
    Some(match word {
        "transport" => Mode::Transport,
        "tunnel" => Mode::Tunnel,
        _ => return None,
    })
}

/// Returns the kernel's value of a `prio` clause. A larger priority is a smaller value.
fn priority(pair: Pair<'_, Rule>) -> Result<u32, PolicyError> {
    let offset = pair.as_span().start();
    let (mut base, mut negative, mut number) = (None, false, 0);
    for part in pair.into_inner() {
        match part.as_rule() {
            Rule::base => base = Some(part.as_str()),
            Rule::sign => negative = part.as_str() == "-",
            Rule::minus => negative = true,
            // A number that does not fit is beyond every limit below.
            Rule::number => number = part.as_str().parse::<u32>().unwrap_or(u32::MAX),
            _ => {}
        }
    }
    let (start, limit, kind) = match base {
        None => (PRIORITY_DEFAULT, 0x8000_0000, ErrorKind::PriorityOffset),
        Some("low") => (PRIORITY_LOW, 0x4000_0000, ErrorKind::PriorityBaseOffset),
        Some("high") => (PRIORITY_HIGH, 0x4000_0000, ErrorKind::PriorityBaseOffset),
        Some(_) => (PRIORITY_DEFAULT, 0x4000_0000, ErrorKind::PriorityBaseOffset),
    };
    // One value more lies below a base than above it, since values begin at 0.
    if number > limit - u32::from(negative) {
        return Err(error(kind, offset));
    }
    let value = if negative { start.checked_add(number) } else { start.checked_sub(number) };
    value.ok_or(error(kind, offset))
}

fn request(text: &str, pair: Pair<'_, Rule>) -> Result<RequestText, PolicyError> {
    let mut request =
        RequestText { protocol: Protocol::Esp, mode: Mode::Transport, endpoints: None, level: Level::Default };
    for part in pair.into_inner() {
        match part.as_rule() {
            Rule::protocol => request.protocol = keyword(&part, protocol)?,
            Rule::mode => request.mode = keyword(&part, mode)?,
            Rule::endpoints => request.endpoints = Some(endpoints(text, part)?),
            Rule::level => request.level = level(&part)?,
            _ => {}
        }
    }
    Ok(request)
}

fn level(pair: &Pair<'_, Rule>) -> Result<Level, PolicyError> {
    let offset = pair.as_span().start();
    Ok(match pair.as_str() {
        "default" => Level::Default,
        "require" => Level::Require,
        "unique" => Level::Unique(0),
        "use" => Level::Use,
        word => {
            // No range is checked: kernels replace a number that they reserve for themselves.
            let reqid = word.strip_prefix("unique:").ok_or_else(|| error(ErrorKind::Syntax, offset))?;
            Level::Unique(reqid.parse().map_err(|_| error(ErrorKind::Reqid, offset))?)
        }
    })
}

fn endpoints(text: &str, pair: Pair<'_, Rule>) -> Result<Endpoints, PolicyError> {
    let mut ends: [Option<Endpoint>; 2] = [None, None];
    let mut current = 0;
    for part in pair.into_inner() {
        let span = part.as_span();
        match part.as_rule() {
            // The grammar permits only the other word behind it.
            Rule::me if current == 0 => return Ok(Endpoints::MeToAny),
            Rule::any if current == 0 => return Ok(Endpoints::AnyToMe),
            Rule::hyphen => current = 1,
            Rule::address => {
                let Some(end) = address(part.as_str()) else {
                    // libipsec looks one token ahead of the first address, to see whether a port follows.
                    let at = if current == 0 { skip_blanks(text, span.end()) } else { span.start() };
                    let token = Some(token_at(text, at).to_owned());
                    return Err(PolicyError { token, ..error(ErrorKind::Address, span.start()) });
                };
                ends[current] = Some(end);
            }
            Rule::port => {
                let digits = part.as_str().trim_matches(['[', ']']);
                let port = digits.parse().map_err(|_| error(ErrorKind::Port, span.start()))?;
                if let Some(end) = &mut ends[current] {
                    end.port = Some(port);
                }
            }
            _ => {}
        }
    }
    match ends {
        [Some(source), Some(destination)] => Ok(Endpoints::Pair(source, destination)),
        // The grammar permits no single end.
        _ => Err(error(ErrorKind::NoEndpoints, 0)),
    }
}

/// Parses a numeric address, an IPv6 one with an optional zone.
fn address(text: &str) -> Option<Endpoint> {
    let Some((address, zone)) = text.split_once('%') else {
        return Some(Endpoint { address: text.parse().ok()?, scope: None, port: None });
    };
    let address = IpAddr::V6(address.parse().ok()?);
    (!zone.is_empty()).then(|| Endpoint { address, scope: Some(zone.into()), port: None })
}

/// Offsets of the parts of a request, for errors.
#[derive(Clone, Copy)]
struct Places {
    request: usize,
    mode: usize,
    endpoints: usize,
    /// The second address.
    destination: usize,
}

impl Places {
    fn of(request: &Pair<'_, Rule>) -> Self {
        let start = request.as_span().start();
        let mut places = Self { request: start, mode: start, endpoints: start, destination: start };
        for part in request.clone().into_inner() {
            let offset = part.as_span().start();
            match part.as_rule() {
                Rule::mode => places.mode = offset,
                Rule::endpoints => {
                    places.endpoints = offset;
                    let addresses = part.into_inner().filter(|part| part.as_rule() == Rule::address);
                    places.destination = addresses.last().map_or(offset, |address| address.as_span().start());
                }
                _ => {}
            }
        }
        places
    }
}

/// Checks that the parts of a request go together.
fn check(request: &RequestText, direction: Direction, places: Places) -> Result<(), PolicyError> {
    let (fault, offset) = match &request.endpoints {
        None if request.mode == Mode::Tunnel => (ErrorKind::NoEndpoints, places.mode),
        Some(Endpoints::MeToAny) if direction != Direction::Out => (ErrorKind::Direction, places.endpoints),
        Some(Endpoints::AnyToMe) if direction != Direction::In => (ErrorKind::Direction, places.endpoints),
        Some(Endpoints::MeToAny | Endpoints::AnyToMe) if request.mode == Mode::Tunnel => {
            (ErrorKind::NoEndpoints, places.endpoints)
        }
        Some(Endpoints::Pair(source, destination)) if source.address.is_ipv4() != destination.address.is_ipv4() => {
            (ErrorKind::Family, places.destination)
        }
        _ => return Ok(()),
    };
    Err(error(fault, offset))
}
